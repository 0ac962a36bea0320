"""A foreign ROS 1 peer for the tests: Debian's rosmaster, rospy and command line tools.

    peer.py master PORT            a real rosmaster
    peer.py tool COMMAND [ARG..]   a command line tool, its output passed on
    peer.py node NAME              a rospy node driven by JSON lines on stdin, reporting JSON lines on stdout

Every mode ends at once when stdin closes, so that no peer outlives its test.
The message definitions below are written down independently of the Swift ones.
"""
import json
import os
import subprocess
import sys
import threading

HEADER = "MSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
VECTOR3 = "MSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z\n"
QUATERNION = "MSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w\n"
EFFECTOR = "MSG: kuavo_msgs/endEffectorData\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
IMU = ("MSG: kuavo_msgs/imuData\ngeometry_msgs/Vector3 gyro\ngeometry_msgs/Vector3 acc\n"
       "geometry_msgs/Vector3 free_acc\ngeometry_msgs/Quaternion quat\n")
JOINTS = "MSG: kuavo_msgs/jointData\nfloat64[] joint_q\nfloat64[] joint_v\nfloat64[] joint_vd\nfloat64[] %s\n"
CLAW_STATES = "int8 kError = -1 # broken\nint8 kUnknown = 0\nint8 kMoving = 1\nint8 kReached = 2\nint8 kGrabbed = 3\n"
RULE = "=" * 80 + "\n"


def sensors(fourth):
    own = "std_msgs/Header header\ntime sensor_time\njointData joint_data\nimuData imu_data\nendEffectorData end_effector_data\n"
    return RULE.join([own, HEADER, JOINTS % fourth, IMU, VECTOR3, QUATERNION, EFFECTOR])


DEFINITIONS = {
    "kuavo_msgs/sensorsData": sensors("joint_torque"),
    "old:kuavo_msgs/sensorsData": sensors("joint_current"),
    "kuavo_msgs/lejuClawState": RULE.join([CLAW_STATES + "Header header\nint8[] state\nendEffectorData data\n", HEADER, EFFECTOR]),
    "new:kuavo_msgs/lejuClawState": RULE.join(
        [CLAW_STATES + "Header header\nint8[] state\nendEffectorData data\nbool is_high_freq\n", HEADER, EFFECTOR]),
    "kuavo_msgs/lejuClawCommand": RULE.join(["Header header\nendEffectorData data\n", HEADER, EFFECTOR]),
    "kuavo_msgs/jointCmd": RULE.join([
        "Header header\nfloat64[] joint_q\nfloat64[] joint_v\nfloat64[] tau\nfloat64[] tau_max\nfloat64[] tau_ratio\n"
        "float64[] joint_kp\nfloat64[] joint_kd\nint32[] control_modes\n", HEADER]),
    "kuavo_msgs/robotHeadMotionData": "float64[] joint_data\n",
    "kuavo_msgs/armTargetPoses": "float64[] times\nfloat64[] values\n",
}
SERVICES = {
    "kuavo_msgs/changeArmCtrlMode": (
        "8a8d154c05ee16e8f5d2b72d9bb51026", "int32 control_mode\n", "bool result\nint32 mode\nstring message\n"),
    "groot_sim/Reset": (None, "int64 seed\nstring task\nstring options\n", "bool success\nstring message\n"),
}


def report(event, **fields):
    sys.stdout.write(json.dumps(dict(fields, event=event)) + "\n")
    sys.stdout.flush()


def message_class(name):
    import genpy.dynamic
    import roslib.message
    if name in DEFINITIONS:
        kind = name.split(":")[-1]
        return genpy.dynamic.generate_dynamic(kind, DEFINITIONS[name])[kind]
    return roslib.message.get_message_class(name)


def service_class(name):
    import genpy.dynamic
    import hashlib
    import roslib.message
    if name not in SERVICES:
        return roslib.message.get_service_class(name)
    md5, request, response = SERVICES[name]
    parts = [genpy.dynamic.generate_dynamic(name + suffix, text)[name + suffix]
             for suffix, text in (("Request", request), ("Response", response))]
    canonical = (request.strip() + response.strip()).encode()
    return type("Service", (object,), dict(
        _type=name, _md5sum=md5 or hashlib.md5(canonical).hexdigest(), _request_class=parts[0], _response_class=parts[1]))


def plain(value):
    """A message as JSON; long byte arrays as length and sum."""
    if hasattr(value, "__slots__") and hasattr(value, "_type"):
        return {slot: plain(getattr(value, slot)) for slot in value.__slots__}
    if hasattr(value, "secs"):
        return [value.secs, value.nsecs]
    if isinstance(value, bytes):
        return {"length": len(value), "sum": sum(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def filled(kind, value):
    import genpy.message
    message = kind()
    genpy.message.fill_message_args(message, [value])
    return message


class Node:
    def __init__(self, name):
        import rospy
        self.rospy = rospy
        rospy.init_node(name, disable_signals=True)
        self.publishers = {}

    def subscribe(self, topic, type):
        kind = message_class(type)
        self.rospy.Subscriber(topic, kind, lambda message: report("message", topic=topic, value=plain(message)))
        return {"md5": kind._md5sum}

    def advertise(self, topic, type, latch=False):
        kind = message_class(type)
        publisher = self.rospy.Publisher(topic, kind, latch=latch, queue_size=100)
        self.publishers[topic] = (publisher, kind)
        return {"md5": kind._md5sum}

    def publish(self, topic, value):
        publisher, kind = self.publishers[topic]
        publisher.publish(filled(kind, value))
        return {}

    def connections(self, topic):
        return {"count": self.publishers[topic][0].get_num_connections()}

    def serve(self, name, type, reply):
        kind = service_class(type)

        def answer(request):
            report("request", name=name, value=plain(request))
            if reply is None:
                raise self.rospy.ServiceException("told to fail")
            return filled(kind._response_class, reply)

        self.rospy.Service(name, kind, answer)
        return {"md5": kind._md5sum}

    def call(self, name, type, value):
        kind = service_class(type)
        self.rospy.wait_for_service(name, timeout=10)
        try:
            return {"value": plain(self.rospy.ServiceProxy(name, kind)(filled(kind._request_class, value)))}
        except self.rospy.ServiceException as error:
            return {"error": str(error)}

    def parameter(self, key, value=None):
        if value is not None:
            self.rospy.set_param(key, value)
        return {"value": self.rospy.get_param(key, "absent"), "known": self.rospy.has_param(key)}

    def sim_time(self):
        return {"value": self.rospy.get_param("/use_sim_time", "absent")}


def run_node(name):
    node = Node(name)
    report("ready")
    for line in sys.stdin:
        command = json.loads(line)
        operation = command.pop("op")
        number = command.pop("id")
        try:
            report("done", id=number, **getattr(node, operation)(**command))
        except Exception as error:  # every failure must reach the test
            report("done", id=number, failure="%s: %s" % (type(error).__name__, error))
    os._exit(0)


def end_with_stdin(action):
    def watch():
        while sys.stdin.buffer.read1(65536):
            pass
        action()
        os._exit(0)
    threading.Thread(target=watch, daemon=True).start()


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    if mode == "node":
        run_node(arguments[0])
    elif mode == "master":
        import rosmaster.main
        end_with_stdin(lambda: None)
        rosmaster.main.rosmaster_main(["rosmaster", "--core", "-p", arguments[0]])
    elif mode == "tool":
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
        end_with_stdin(child.kill)
        os._exit(child.wait())


main()
