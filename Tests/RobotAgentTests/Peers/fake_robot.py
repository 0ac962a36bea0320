"""A Kuavo 5-W as ROS sees it, for the tests: Debian's rospy, message definitions written down independently.

    fake_robot.py master PORT        a real rosmaster
    fake_robot.py robot OLD|NEW [compressed] [hang=FILE] [later=FILE] [FAULT..]    the robot; ROS_MASTER_URI says where
    fake_robot.py joystick       a node that commands the arms, too, 50 times a second
    fake_robot.py ghost          a second publisher of the joint state

Faults, each of them also as `later:FAULT`, from the fiftieth command of the agent on, or with `later=FILE` while
FILE is there: `degrees`, `zeros`, `reordered` (velocities
before positions, same type name), `offset=SECONDS` and `zero_stamps` and `frozen_stamps` of the joint state, `outlier` (one joint
message from the future), `step=SECONDS` (the clock is set), `stuck` (the last joint message again and again), `no_claws`,
`deaf` (no controller), `bgr8`, `png`, `mono8` (head camera), `freeze` (the arms stay where they are), `lag=RAD` (the first joint
is measured that far off), `torque=NM` (of the first joint).

The robot follows its commands, checks them and prints one JSON object per service call and per second. OLD and NEW are
the two generations of message and service definitions. With `compressed` the chest camera sends JPEG files. While FILE is
there, calls that hand the arms back do not return, and take no effect. FAKE_ROBOT_AWAY=RAD starts with every joint that far
from home, FAKE_ROBOT_TRACE=FILE gets one line per arm command.
"""
import base64
import hashlib
import json
import os
import struct
import sys
import threading
import time
import zlib

# Only the objects: what ROS prints goes with the log.
OBJECTS, sys.stdout = sys.stdout, sys.stderr
RULE = "=" * 80 + "\n"
HEADER = "MSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
VECTOR3 = "MSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z\n"
QUATERNION = "MSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w\n"
EFFECTOR = "MSG: kuavo_msgs/endEffectorData\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
IMU = ("MSG: kuavo_msgs/imuData\ngeometry_msgs/Vector3 gyro\ngeometry_msgs/Vector3 acc\n"
       "geometry_msgs/Vector3 free_acc\ngeometry_msgs/Quaternion quat\n")
JOINTS = "MSG: kuavo_msgs/jointData\nfloat64[] joint_q\nfloat64[] joint_v\nfloat64[] joint_vd\nfloat64[] %s\n"
STATES = "int8 kError = -1\nint8 kUnknown = 0\nint8 kMoving = 1\nint8 kReached = 2\nint8 kGrabbed = 3\n"
HOME = [-0.1311, 0.8129, -0.2435, -2.417, 1.3373, 0.4074, 0.9697, -0.1308, -0.8167, 0.2473, -2.4105, -1.335, -0.4048, 0.9716]
NAMES = ["zarm_%s%d_joint" % (side, joint) for side in "lr" for joint in range(1, 8)]
DEGREES = 57.29577951308232
# 16x12 pixels of red 200, green 40, blue 20; written by Pillow.
RED_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIU"
    "FRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAMABADASIAAhEB"
    "AxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAf/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAABwj/xAAUEQEAAAAAAAAAAAAA"
    "AAAAAAAA/9oADAMBAAIRAxEAPwCHgBxbb//Z")


def message(name, text):
    import genpy.dynamic
    return genpy.dynamic.generate_dynamic(name, text)[name]


def service(name, request, response):
    parts = [message(name + suffix, text) for suffix, text in (("Request", request), ("Response", response))]
    digest = hashlib.md5((request.strip() + response.strip()).encode()).hexdigest()
    return type("Service", (object,), dict(_type=name, _md5sum=digest, _request_class=parts[0], _response_class=parts[1]))


def png(pixel, width=16, height=12):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes(pixel) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Faults:
    """Which faults are on; those that begin later do so once the agent drives."""

    def __init__(self, words):
        self.now = dict((word + "=").split("=")[:2] for word in words if not word.startswith("later:"))
        self.later = dict((word[6:] + "=").split("=")[:2] for word in words if word.startswith("later:"))
        self.file = self.now.get("later")

    def begin(self):
        if not self.file:
            self.now.update(self.later)
            self.later = {}

    def __contains__(self, name):
        return name in self.now or name in self.later and self.file is not None and os.path.exists(self.file)

    def value(self, name):
        """Its number while it is on, else 0."""
        return float(self.now.get(name) or self.later.get(name) or 0) if name in self else 0.0


class Robot:
    def __init__(self, generation, is_compressed, faults):
        import rospy
        from sensor_msgs.msg import CompressedImage, Image, JointState
        self.rospy, self.new = rospy, generation == "NEW"
        rospy.init_node("fake_robot", disable_signals=True)
        self.lock = threading.Lock()
        away = float(os.environ.get("FAKE_ROBOT_AWAY", "0"))
        # Towards the middle of every joint's range.
        self.start = [angle - away if angle > 0 else angle + away for angle in HOME]
        self.pose = list(self.start)
        self.trace = open(os.environ["FAKE_ROBOT_TRACE"], "w") if "FAKE_ROBOT_TRACE" in os.environ else None
        self.faults, self.stuck, self.stiff = faults, None, None
        self.measured = list(self.pose)
        self.claws = [0.0, 0.0]
        self.intruded, self.moved = 0, None
        self.arrivals, self.problems, self.worst_step, self.first, self.last = [], [], 0.0, None, None
        fourth = "joint_torque" if self.new else "joint_current"
        own = "std_msgs/Header header\ntime sensor_time\njointData joint_data\nimuData imu_data\nendEffectorData end_effector_data\n"
        joints = JOINTS % fourth
        if "reordered" in faults:
            joints = joints.replace("float64[] joint_q\nfloat64[] joint_v\n", "float64[] joint_v\nfloat64[] joint_q\n")
        self.sensors = message("kuavo_msgs/sensorsData", RULE.join([own, HEADER, joints, IMU, VECTOR3, QUATERNION, EFFECTOR]))
        tail = "bool is_high_freq\n" if self.new else ""
        self.claw_state = message(
            "kuavo_msgs/lejuClawState", RULE.join([STATES + "Header header\nint8[] state\nendEffectorData data\n" + tail, HEADER, EFFECTOR]))
        claw_command = message("kuavo_msgs/lejuClawCommand", RULE.join(["Header header\nendEffectorData data\n", HEADER, EFFECTOR]))
        self.image, self.compressed = Image, CompressedImage if is_compressed else None
        self.compressed_type = CompressedImage
        self.publishers = {
            "joints": rospy.Publisher("/sensors_data_raw", self.sensors, queue_size=10),
            "claws": rospy.Publisher("/leju_claw_state", self.claw_state, queue_size=10),
            "head": rospy.Publisher("/camera/color/image_raw", CompressedImage if "png" in faults else Image, queue_size=2),
            "chest": rospy.Publisher("/chest_cam/color/image_raw/compressed", CompressedImage, queue_size=2)
            if is_compressed else rospy.Publisher("/chest_cam/color/image_raw", Image, queue_size=2),
        }
        if "deaf" not in faults:
            self.ears = [
                rospy.Subscriber("/kuavo_arm_traj", JointState, self.commanded),
                rospy.Subscriber("/leju_claw_command", claw_command, self.claw_commanded),
            ]
        arm_mode = service("kuavo_msgs/changeArmCtrlMode", "int32 control_mode\n", "bool result\nint32 mode\nstring message\n")
        rospy.Service("/wheel_arm_change_arm_ctrl_mode", arm_mode, self.answer(
            "arm_mode", lambda r: r.control_mode, lambda r: arm_mode._response_class(True, r.control_mode, "")))
        if self.new:
            quick = service("kuavo_msgs/changeLbQuickModeSrv", "int8 quickMode\n", "bool success\nstring message\n")
            value = lambda r: r.quickMode  # noqa: E731
        else:
            from std_srvs.srv import SetBool
            quick, value = SetBool, lambda r: r.data
        rospy.Service("/enable_lb_arm_quick_mode", quick, self.answer(
            "quick_mode", value, lambda r: quick._response_class(True, "")))

    def answer(self, name, value, reply):
        def handle(request):
            if not value(request) and os.path.exists(HANG):
                self.say("hangs", name=name)
                while os.path.exists(HANG):
                    time.sleep(0.05)
                raise RuntimeError("too late")
            self.say("service", name=name, value=value(request))
            return reply(request)
        return handle

    def say(self, event, **fields):
        with self.lock:
            fields.update(event=event, commands=len(self.arrivals))
            OBJECTS.write(json.dumps(fields) + "\n")
            OBJECTS.flush()

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)

    def commanded(self, command):
        with self.lock:
            if command.name and command.name[0] == "joystick":
                self.intruded += 1
                return
            self.arrivals.append(time.monotonic())
            if list(command.name) != NAMES or len(command.position) != 14:
                self.problem("names %s" % command.name)
                return
            if command.velocity or command.effort:
                self.problem("velocity or effort is filled")
            angles = [value / DEGREES for value in command.position]
            if self.first is None:
                self.first = angles
                away = max(abs(a - b) for a, b in zip(angles, self.start))
                # In radians the numbers would be nearly zero, far from home in degrees.
                if away > 0.1:
                    self.problem("the first command is %.2f rad away: are these degrees?" % away)
            if self.last is None or max(abs(a - b) for a, b in zip(angles, self.last)) > 1e-5:
                self.moved = time.monotonic()
            if self.last is not None:
                self.worst_step = max(self.worst_step, max(abs(a - b) for a, b in zip(angles, self.last)))
            self.last = self.pose = angles
            if self.trace:
                self.trace.write(" ".join("%.6f" % angle for angle in angles) + "\n")
                self.trace.flush()
            if len(self.arrivals) == 50:
                self.faults.begin()

    def claw_commanded(self, command):
        with self.lock:
            if list(command.data.name) != ["left_claw", "right_claw"] or not all(0 <= p <= 100 for p in command.data.position):
                self.problem("claw command %s %s" % (command.data.name, command.data.position))
            if list(command.data.velocity) != [90, 90] or list(command.data.effort) != [1.0, 1.0]:
                self.problem("claw velocity or effort")
            self.claws = list(command.data.position)

    def run(self):
        index = 0
        start = time.monotonic()
        while not self.rospy.is_shutdown():
            now = self.rospy.Time.now()
            if "step" in self.faults:
                now += self.rospy.Duration(self.faults.value("step"))
            with self.lock:
                pose, claws = list(self.pose), list(self.claws)
            if "deaf" in self.faults:
                self.hang_up()
            self.publishers["joints"].publish(self.joint_state(now, pose, index))
            grip = self.claw_state()
            grip.header.stamp = now
            grip.state, grip.data.name, grip.data.position = [2, 2], ["left_claw", "right_claw"], claws
            if "no_claws" not in self.faults:
                self.publishers["claws"].publish(grip)
            if index % 10 == 0:
                self.publishers["head"].publish(self.head_picture(now))
                picture = self.image(height=12, width=16, encoding="rgb8", step=48, data=bytes([index % 256]) * 576)
                picture.header.stamp = now
                if self.compressed:
                    picture = self.compressed(format="rgb8; jpeg compressed bgr8", data=RED_JPEG)
                    picture.header.stamp = now
                self.publishers["chest"].publish(picture)
            if index % 100 == 0:
                self.summary()
            index += 1
            time.sleep(max(0, start + index * 0.01 - time.monotonic()))

    def hang_up(self):
        for ear in getattr(self, "ears", []):
            ear.unregister()
        self.ears = []

    def joint_state(self, now, pose, index):
        """The joint message with its faults; whole turns of the arms move its numbers so little that a real encoder shows them."""
        state = self.sensors()
        if "offset" in self.faults:
            now += self.rospy.Duration(self.faults.value("offset"))
        if "outlier" in self.faults and index % 200 == 100:
            now += self.rospy.Duration(0.9)
        if "zero_stamps" in self.faults:
            now = self.rospy.Time()
        self.stiff = (self.stiff or pose) if "freeze" in self.faults else None
        pose = list(self.stiff or pose)
        pose[0] += self.faults.value("lag")
        self.measured = pose
        if self.new:
            state.joint_data.joint_torque = [0.0] * 4 + [self.faults.value("torque")] + [0.0] * 15
        if "degrees" in self.faults:
            pose = [value * DEGREES for value in pose]
        if "zeros" in self.faults:
            pose = [0.0] * 14
        state.header.stamp = state.sensor_time = now
        state.joint_data.joint_q = [0.0] * 4 + [value + 1e-6 * (index % 7) if value else value for value in pose] + [0.0, 0.0]
        if "reordered" in self.faults:
            state.joint_data.joint_v = [0.5] * 20
        if "stuck" in self.faults or "frozen_stamps" in self.faults:
            self.stuck = self.stuck or state
            if "stuck" in self.faults:
                return self.stuck
            state.header.stamp = state.sensor_time = self.stuck.header.stamp
        return state

    def head_picture(self, now):
        if "png" in self.faults:
            picture = self.compressed_type(format="bgr8; png compressed", data=png((200, 40, 20)))
        elif "mono8" in self.faults:
            picture = self.image(height=12, width=16, encoding="mono8", step=16, data=bytes([9]) * 192)
        else:
            is_swapped = "bgr8" in self.faults
            pixel = bytes([20, 40, 200] if is_swapped else [200, 40, 20])
            picture = self.image(height=12, width=16, encoding="bgr8" if is_swapped else "rgb8", step=48, data=pixel * 192)
        picture.header.stamp = now
        return picture

    def summary(self):
        with self.lock:
            recent = [t for t in self.arrivals if t > time.monotonic() - 2]
            rate = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 20 else 0.0
            silent = time.monotonic() - self.arrivals[-1] if self.arrivals else -1
            still = time.monotonic() - self.moved if self.moved else -1
            fields = dict(rate=rate, silent=silent, still=still, worstStep=self.worst_step, problems=list(self.problems), intruded=self.intruded,
                          measured=list(self.measured))
        self.say("summary", **fields)


HANG = next((argument[5:] for argument in sys.argv if argument.startswith("hang=")), "")

if sys.argv[1] == "master":
    import rosmaster.main
    rosmaster.main.rosmaster_main(["rosmaster", "--core", "-p", sys.argv[2]])
elif sys.argv[1] == "joystick":
    import rospy
    from sensor_msgs.msg import JointState
    rospy.init_node("joystick", disable_signals=True)
    stick = rospy.Publisher("/kuavo_arm_traj", JointState, queue_size=1)
    while not rospy.is_shutdown():
        stick.publish(JointState(name=["joystick"] * 14, position=[value * DEGREES + 5 for value in HOME]))
        time.sleep(0.02)
elif sys.argv[1] == "ghost":
    import rospy
    rospy.init_node("ghost", disable_signals=True)
    Ghost = message("kuavo_msgs/sensorsData", RULE.join([
        "std_msgs/Header header\ntime sensor_time\njointData joint_data\nimuData imu_data\nendEffectorData end_effector_data\n",
        HEADER, JOINTS % "joint_torque", IMU, VECTOR3, QUATERNION, EFFECTOR]))
    publisher = rospy.Publisher("/sensors_data_raw", Ghost, queue_size=10)
    while not rospy.is_shutdown():
        state = Ghost()
        state.header.stamp = state.sensor_time = rospy.Time.now()
        state.joint_data.joint_q = [0.0] * 4 + [value + 0.2 for value in HOME] + [0.0, 0.0]
        publisher.publish(state)
        time.sleep(0.01)
else:
    os.environ.setdefault("ROS_HOSTNAME", "127.0.0.1")
    Robot(sys.argv[2], "compressed" in sys.argv, Faults(sys.argv[3:])).run()
