"""`make bench-agent`: the 100 Hz control loop, idle and with two busy loops per core, with and without real-time rights, beside
a rospy loop written the way the guide's client is (work, publish, sleep what is left).

Of each loop it measures the jitter of its own cycles, its CPU and memory, and what counts: when its commands *arrive*. Each
loop publishes to a TCPROS subscriber of its own, under a master of its own; the kernel stamps every segment as it reaches
the subscriber's socket, so that the subscriber's own scheduling is not part of the figure.

Six rows of five minutes. One after the other takes 31 minutes; with `--together` (TOGETHER=1) the three loops of a condition
run at once, 11 minutes in all: each needs a hundredth of a core, so they meet seldom; where they do, the loop with
real-time rights goes first.
Each finished row goes to .state/bench-agent.json at once; `--resume` (RESUME=1) measures only what is missing there.
The table goes to .state/bench-agent.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import resource
import socket
import struct
import subprocess
import sys
import time
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
AGENT = ROOT / ".build" / "release" / "groot-agent"
RESULTS = ROOT / ".state" / "bench-agent.json"
PERIOD = 0.01
TOPIC = "/kuavo_arm_traj"
# Debian's Python has rospy and rosmaster.
PYTHON = "/usr/bin/python3"
ROWS = {"agent, real time": [], "agent, no real time": ["--no-realtime"], "rospy loop": None}
CONDITIONS = {"idle": 0, "all cores loaded": 2}
SO_TIMESTAMPNS = 35


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# What runs in processes of its own


def rospy_loop(seconds: int) -> dict:
    """The same measure as the agent's: distance of the time between two cycles from 10 ms."""
    import rospy
    from sensor_msgs.msg import JointState

    rospy.init_node("loop", disable_signals=True)
    publisher = rospy.Publisher(TOPIC, JointState, queue_size=1)
    while publisher.get_num_connections() == 0:
        time.sleep(0.02)
    message = JointState(name=[f"joint_{index}" for index in range(14)])
    intervals, published, last = [], 0, None
    state = [0.0] * 14
    start = time.monotonic()
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    while time.monotonic() - start < seconds:
        began = time.monotonic()
        if last is not None:
            intervals.append(abs(began - last - PERIOD) * 1e6)
        last = began
        state = [value * 0.99 + 0.01 * index for index, value in enumerate(state)]
        message.header.stamp = rospy.Time.now()
        message.position = [value * 57.29577951308232 for value in state]
        publisher.publish(message)
        published += 1
        rest = PERIOD - (time.monotonic() - began)
        if rest > 0:
            time.sleep(rest)
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu
    return {
        # Relative sleeps drift: what is missing of 100 cycles a second was lost little by little.
        "ticks": published, "missed_cycles": max(0, int(seconds / PERIOD) - published),
        "p50_us": quantile(intervals, 0.5), "p99_us": quantile(intervals, 0.99), "p999_us": quantile(intervals, 0.999),
        "max_us": max(intervals), "cpu_percent": 100 * cpu / seconds,
        "resident_mi_b": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def connected(master: str) -> socket.socket:
    """A TCPROS connection to the first publisher of the topic, headers exchanged."""
    api, caller = xmlrpc.client.ServerProxy(master), "/arrivals"
    for _ in range(1500):
        publishers = [nodes for topic, nodes in api.getSystemState(caller)[2][0] if topic == TOPIC]
        if publishers:
            break
        time.sleep(0.02)
    else:
        raise SystemExit(f"nobody publishes {TOPIC}")
    node = xmlrpc.client.ServerProxy(api.lookupNode(caller, publishers[0][0])[2])
    _, host, port = node.requestTopic(caller, TOPIC, [["TCPROS"]])[2]
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    fields = {"callerid": caller, "topic": TOPIC, "type": "*", "md5sum": "*", "tcp_nodelay": "1"}
    header = b"".join(struct.pack("<I", len(text)) + text for text in (f"{k}={v}".encode() for k, v in fields.items()))
    connection.sendall(struct.pack("<I", len(header)) + header)
    message(connection)
    return connection


def message(connection: socket.socket) -> tuple[bytes, float] | None:
    """The next message and when the kernel had it; nothing when the publisher is gone."""
    body, stamp, missing = b"", 0.0, 4
    while missing:
        data, extras, _, _ = connection.recvmsg(missing, 64)
        if not data:
            return None
        for _, kind, value in extras:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value)
                stamp = seconds + nanoseconds * 1e-9
        body += data
        missing -= len(data)
        if len(body) == 4 and not missing:
            missing = struct.unpack("<I", body)[0]
    return body, stamp


def subscriber(master: str) -> dict:
    """Arrivals until the publisher is gone: distance of the time between two from 10 ms, and what is missing."""
    with contextlib.suppress(PermissionError):
        # Reads in time, so that the kernel does not put two messages under one stamp; after the agent's priority.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    connection = connected(master)
    stamps = []
    with contextlib.suppress(ConnectionError):
        while (received := message(connection)) is not None:
            stamps.append(received[1])
    if len(stamps) < 2:
        raise SystemExit(f"{len(stamps)} commands arrived")
    away = [abs(after - before - PERIOD) * 1e6 for before, after in zip(stamps, stamps[1:])]
    expected = round((stamps[-1] - stamps[0]) / PERIOD) + 1
    return {
        "arrived": len(stamps), "arrivals_missing": max(0, expected - len(stamps)), "arrivals_expected": expected,
        "arrival_p50_us": quantile(away, 0.5), "arrival_p99_us": quantile(away, 0.99),
        "arrival_p999_us": quantile(away, 0.999), "arrival_max_us": max(away),
        "subscriber_is_real_time": os.sched_getscheduler(0) == os.SCHED_FIFO,
    }  # fmt: skip


def master(port: int) -> None:
    import rosmaster.main

    rosmaster.main.rosmaster_main(["rosmaster", "--core", "-p", str(port)])


# The measurement


@contextlib.contextmanager
def processes():
    """Starts processes that end with the block."""
    running = []

    def start(command: list[str], **options) -> subprocess.Popen:
        running.append(subprocess.Popen(command, **options))
        return running[-1]

    try:
        yield start
    finally:
        for process in running:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(uri: str) -> bool:
    try:
        xmlrpc.client.ServerProxy(uri).getPid("/bench")
    except OSError:
        return False
    return True


def measure(agent: pathlib.Path, options: list[str] | None, seconds: int) -> dict:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "ROS_MASTER_URI": uri, "ROS_HOSTNAME": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    before = os.getloadavg()[0]
    with processes() as start:
        start([PYTHON, __file__, "--as-master", str(port)], stdout=subprocess.DEVNULL, env=environment)
        while not answers(uri):
            time.sleep(0.05)
        listener = start([PYTHON, __file__, "--as-subscriber", uri], **pipes)
        if options is None:
            command = [PYTHON, __file__, "--as-rospy-loop", "--seconds", str(seconds)]
        else:
            command = [str(agent), "bench", "--seconds", str(seconds), "--ros-master", uri, *options]
        loop = start(command, **pipes)
        output, log = loop.communicate()
        if loop.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {loop.returncode}:\n{log}")
        arrivals, complaint = listener.communicate(timeout=30)
        if listener.returncode != 0:
            raise SystemExit(f"the subscriber ended with {listener.returncode}:\n{complaint}")
    result = {**json.loads(output), **json.loads(arrivals)}
    result.update(seconds=seconds, refused="refused" in log, load_before=before)
    return result


@contextlib.contextmanager
def loaded_cores(per_core: int):
    """Busy processes while the block runs."""
    with processes() as start:
        for _ in range(per_core * (os.cpu_count() or 1)):
            start([sys.executable, "-c", "while True: sum(i * i for i in range(10000))"])
        yield


def table(rows: dict[str, dict]) -> str:
    lines = [
        f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}. Deviation is the distance of the time "
        "between two cycles, or between two commands that reach the subscriber's socket, from 10 ms; loaded: two busy loops per core.",
        "",
        "| loop | seconds | cycles: p50 us | p99 us | max us | missed | arrivals: p50 us | p99 us | p99.9 us | max us | missing | "
        "CPU % | resident MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        note = " (rights refused)" if row.get("refused") else ""
        lines.append(
            f"| {name}{note} | {row['seconds']} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['max_us']:.0f} | "
            f"{row['missed_cycles']} | {row['arrival_p50_us']:.0f} | {row['arrival_p99_us']:.0f} | "
            f"{row['arrival_p999_us']:.0f} | {row['arrival_max_us']:.0f} | "
            f"{row['arrivals_missing']} of {row['arrivals_expected']} | {row['cpu_percent']:.1f} | {row['resident_mi_b']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def write(path: pathlib.Path, text: str) -> None:
    """All or nothing, so that an interruption leaves the last whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="per row")
    parser.add_argument("--resume", action="store_true", help="keep the rows that were measured before")
    parser.add_argument("--together", action="store_true", help="the three loops of a condition at once")
    parser.add_argument("--only", choices=ROWS, help="one loop")
    parser.add_argument("--condition", choices=CONDITIONS, help="one condition")
    parser.add_argument("--agent", type=pathlib.Path, default=AGENT, help="the executable")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="where the rows go, the table beside them")
    parser.add_argument("--as-rospy-loop", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--as-subscriber", help=argparse.SUPPRESS)
    parser.add_argument("--as-master", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.as_rospy_loop:
        print(json.dumps(rospy_loop(options.seconds)))
        return 0
    if options.as_subscriber:
        print(json.dumps(subscriber(options.as_subscriber)))
        return 0
    if options.as_master:
        master(options.as_master)
        return 0
    kept = json.loads(options.results.read_text()) if options.resume and options.results.exists() else {}
    wanted = [(f"{name}, {condition}", condition, flags)
              for condition in CONDITIONS for name, flags in ROWS.items()
              if options.only in (None, name) and options.condition in (None, condition)]  # fmt: skip
    rows = {
        name: kept[name] for name, _, _ in wanted
        if kept.get(name, {}).get("seconds") == options.seconds and "arrived" in kept[name]
    }  # fmt: skip
    missing = [row for row in wanted if row[0] not in rows]
    batches = [[row] for row in missing]
    if options.together:
        batches = [batch for condition in CONDITIONS if (batch := [row for row in missing if row[1] == condition])]
    for index, batch in enumerate(batches):
        rest = (len(batches) - index) * (options.seconds + 2)
        print(f"{', '.join(row[0] for row in batch)}: {options.seconds} s; all done in {rest / 60:.1f} min", flush=True)
        with loaded_cores(CONDITIONS[batch[0][1]]), ThreadPoolExecutor(len(batch)) as pool:
            measured = pool.map(lambda row: measure(options.agent, row[2], options.seconds), batch)
            rows.update(zip((row[0] for row in batch), measured))
        ordered = {row[0]: rows[row[0]] for row in wanted if row[0] in rows}
        write(options.results, json.dumps(ordered, indent=1))
        write(options.results.with_suffix(".md"), table(ordered))
    print(f"\n{table(rows)}\nalso in {options.results.with_suffix('.md')}, as JSON in {options.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
