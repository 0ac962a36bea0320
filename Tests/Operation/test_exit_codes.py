"""docs/operations/exit-codes.md, every cell: each command in each fault, with the built executables."""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import unittest

from common import BINARIES, ONNXRUNTIME, ROOT, free_ports, scratch, unprivileged

PAGE = ROOT / "docs/operations/exit-codes.md"
SWIFT = ROOT / "Sources/GrootCore/Process/ProcessExit.swift"
POLICY = ROOT / "policies/groot-mini"
# No address of any machine (RFC 5737); nobody answers on port 1.
ELSEWHERE = "192.0.2.1"
NOBODY = "127.0.0.1:1"
DATABASE = "postgres://nobody@127.0.0.1:1/nothing"
BLOCKED = "/dev/null/state"


def table():
    """{command: {fault: code}} of the page, without the cells that say -."""
    lines = [line for line in PAGE.read_text().split("## Every cell")[1].splitlines() if line.startswith("|")]
    faults = [cell.strip() for cell in lines[0].split("|")[2:-1]]
    cells = {}
    for line in lines[2:]:
        command, *codes = [cell.strip() for cell in line.split("|")[1:-1]]
        cells[command.strip("`")] = {fault: int(code) for fault, code in zip(faults, codes) if code != "-"}
    return cells


def recording():
    """An MCAP file with one joint message and one command of a simulated robot: enough to be replayed."""
    def text(words):
        return struct.pack("<I", len(words)) + words.encode()

    def record(kind, content):
        return struct.pack("<BQ", kind, len(content)) + content

    angles = struct.pack("<I20d", 20, *[0.1] * 20)
    joints = struct.pack("<4I2I", 1, 5, 0, 0, 5, 0) + angles + struct.pack("<3I", 0, 0, 0) + struct.pack("<13d", *[0.0] * 13) + struct.pack("<4I", 0, 0, 0, 0)
    command = struct.pack("<4I2I", 1, 5, 0, 0, 0, 14) + struct.pack("<14d", *[0.0] * 14) + struct.pack("<2I", 0, 0)
    return b"".join([
        b"\x89MCAP0\r\n",
        record(3, struct.pack("<H", 1) + text("kuavo_msgs/sensorsData") + text("ros1msg") + text("")),
        record(4, struct.pack("<HH", 1, 1) + text("/sensors_data_raw") + text("ros1") + struct.pack("<I", 0)),
        record(5, struct.pack("<HIQQ", 1, 1, 5_000_000_000, 5_000_000_000) + joints),
        record(3, struct.pack("<H", 2) + text("sensor_msgs/JointState") + text("ros1msg") + text("")),
        record(4, struct.pack("<HH", 2, 2) + text("/kuavo_arm_traj") + text("ros1") + struct.pack("<I", 0)),
        record(5, struct.pack("<HIQQ", 2, 1, 5_010_000_000, 5_010_000_000) + command),
    ])


def recipes(taken, folder):
    """{command: {fault: [arguments, ...]}}: what is appended to the command; every list must end with the cell's code."""
    folder = pathlib.Path(folder)
    state = f"--state-dir {folder}/OWN"
    gateway = f"--workers {NOBODY} {state} --database {DATABASE}"
    files = f"--tls-certificate {folder}/a --tls-key {folder}/b --tls-authority {folder}/c"
    open_ports = "--listen 127.0.0.1:0 --admin 127.0.0.1:0"
    worker = f"--checkpoint {POLICY} --onnxruntime {ONNXRUNTIME}"
    agent = f"--robot r1 --task x --gateway {NOBODY} --ros-master http://{NOBODY} --state-dir {folder}/OWN"
    query = {"bad flag": ["--nonsense"], "peer away": [f"--database {DATABASE}"]}
    run = {
        "bad flag": ["--nonsense", f"{agent} --chunk-size-threshold 7", f"{agent} --admin nonsense:x"],
        "missing file": [f"{agent} --profile {folder}/none.json", f"{agent} {files}"],
        "port in use": [f"{agent} --admin 127.0.0.1:{taken}"],
        "address not there": [f"{agent} --admin {ELSEWHERE}:1"],
        "peer away": [agent],
        "cannot write": [agent.replace(f"{folder}/OWN", BLOCKED), f"{agent} --record {BLOCKED}"],
    }
    return {
        "groot-gateway serve": {
            "bad flag": ["--nonsense", "--listen [::", "--set waiting-limit=x", f"--workers {NOBODY} --tls-key {folder}/none.pem"],
            "missing file": [f"{gateway} --config {folder}/none.json", f"{gateway} --tls-certificate {folder}/a --tls-key {folder}/b"],
            "port in use": [
                f"{gateway} --listen 127.0.0.1:{taken} --admin 127.0.0.1:0",
                f"{gateway} --listen 127.0.0.1:0 --admin 127.0.0.1:{taken}",
            ],
            "address not there": [
                f"{gateway} --listen {ELSEWHERE}:8080 --admin 127.0.0.1:0",
                f"{gateway} --listen 127.0.0.1:0 --admin {ELSEWHERE}:8081",
                f"{gateway} --listen no-such-host.invalid:8080 --admin 127.0.0.1:0",
            ],
        },
        "groot-gateway check-config": {
            "bad flag": ["--nonsense", "--set polcy=p2c", f"--config {folder}/wrong.json"],
            "missing file": [f"--config {folder}/none.json", f"--tls-certificate {folder}/a --tls-key {folder}/b"],
        },
        "groot-gateway simulate": {"bad flag": ["--nonsense", "--robots 0", "--only best"]},
        "groot-gateway certs": {
            "bad flag": ["--nonsense", f"init --days 0 --directory {folder}/ca", f"issue king k1 --directory {folder}/ca"],
            "missing file": [f"issue robot r1 --directory {folder}/none", f"revoke robot r1 --directory {folder}/none"],
            "cannot write": [f"init --directory {BLOCKED}"],
        },
        "groot-gateway migrate": {**query, "bad flag": ["--nonsense", "--keep x=y"]},
        "groot-gateway episodes": {"bad flag": ["--nonsense"], "peer away": [f"list --database {DATABASE}"]},
        "groot-gateway checkpoints": {"bad flag": ["--nonsense"], "peer away": [f"list --database {DATABASE}"]},
        "groot-gateway runs": {
            "bad flag": ["--nonsense", "save x --config nonsense"],
            "missing file": [f"save x --config @{folder}/none.json"],
            "peer away": [f"list --database {DATABASE}"],
        },
        "groot-gateway backup": {"bad flag": ["--nonsense"], "peer away": [f"{folder}/copy --database {DATABASE}"]},
        "groot-gateway restore": {
            "bad flag": ["--nonsense"],
            "missing file": [f"{folder}/none.dump --database {DATABASE}"],
            "peer away": [f"{folder}/wrong.json --timeout 1 --database {DATABASE}"],
        },
        "groot-worker serve": {
            "bad flag": ["--nonsense", "", f"{worker} --max-batch 0", f"{worker} --listen x:y"],
            "missing file": [f"--checkpoint {folder}/none {open_ports}", f"{worker} {open_ports} {files}"],
            "port in use": [
                f"{worker} --listen 127.0.0.1:{taken} --admin off",
                f"{worker} --listen 127.0.0.1:0 --admin 127.0.0.1:{taken}",
            ],
            "address not there": [
                f"{worker} --listen {ELSEWHERE}:8090 --admin off",
                f"{worker} --listen 127.0.0.1:0 --admin {ELSEWHERE}:8091",
            ],
        },
        "groot-worker describe": {"bad flag": ["--nonsense", ""], "missing file": [f"--checkpoint {folder}/none"]},
        "groot-agent run": run,
        "groot-agent check": {
            "bad flag": ["--nonsense", "--robot a/b"],
            "missing file": [f"--robot r1 --profile {folder}/none.json --ros-master http://{NOBODY}"],
            "peer away": [f"--robot r1 --ros-master http://{NOBODY}"],
        },
        "groot-agent compare": {**run, "bad flag": ["--nonsense", f"{agent} --modes best"]},
        "groot-agent replay": {
            "bad flag": ["--nonsense", f"{folder}/none.mcap {agent} --every 0"],
            "missing file": [f"{folder}/none.mcap {agent}", f"{folder}/wrong.json {agent}"],
            "peer away": [f"{folder}/tape.mcap {agent}"],
        },
        "groot-sim run": {
            "bad flag": ["--nonsense", "--camera-rate 0", "--admin x:y --master-port 0"],
            "port in use": [f"--master-port {taken}", f"--master-port 0 --admin 127.0.0.1:{taken}"],
            "address not there": [f"--master-port 0 --admin {ELSEWHERE}:1"],
            "peer away": [f"--master http://{NOBODY}"],
        },
        "groot-sim demonstrate": {
            "bad flag": ["--nonsense", f"--out {folder}/d --threads 0"],
            "cannot write": [f"--out {BLOCKED} --episodes 1"],
        },
        "groot-sim gym": {"bad flag": ["--nonsense", "--cells 0"]},
        "groot-sim expert": {"bad flag": ["--nonsense"]},
    }


class ExitCodeTests(unittest.TestCase):
    def test_the_page_has_the_codes_of_the_source(self):
        cases = dict(re.findall(r"case (\w+) = (\d+)", SWIFT.read_text()))
        page = PAGE.read_text().split("## Every cell")[0]
        self.assertEqual(re.findall(r"^\| (\d+) \|", page, re.M), list(cases.values()))
        self.assertLessEqual({code for row in table().values() for code in row.values()}, set(map(int, cases.values())))
        chinese = (ROOT / "docs/operations/exit-codes.zh-CN.md").read_text()
        self.assertEqual(re.findall(r"^\| (\d+) \|", chinese, re.M), list(cases.values()))

    def test_the_units_give_up_for_usage_and_bad_input_only(self):
        for unit in (ROOT / "deploy/systemd").iterdir():
            text = unit.read_text()
            if "Restart=no" in text:
                continue
            self.assertIn("\nRestartPreventExitStatus=64 65\n", text, unit.name)
            self.assertIn("\nStartLimitIntervalSec=0\n", text, f"{unit.name}: a start limit would end it for good")

    def test_every_cell(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch("groot-exits-"))
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            pathlib.Path(folder, "wrong.json").write_text("nonsense")
            pathlib.Path(folder, "tape.mcap").write_bytes(recording())
            run = recipes(listener.getsockname()[1], folder)
            cells = table()
            self.assertEqual({command: set(faults) for command, faults in cells.items()},
                             {command: set(faults) for command, faults in run.items()}, "page and recipes differ")
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(6))
            # A name of its own for every robot: two agents of one robot refuse each other, and the cells run side by side.
            names = itertools.count()
            jobs = {
                (command, fault, arguments): pool.submit(
                    self.end, folder, command, arguments.replace("--robot r1 --task", f"--robot r{next(names)} --task")
                )
                for command, faults in run.items()
                for fault, lists in faults.items()
                for arguments in lists
            }
            wrong = []
            for (command, fault, arguments), job in jobs.items():
                code, said = job.result()
                if code != cells[command][fault]:
                    wrong.append(f"{command} {arguments}\n  ({fault}) {code} instead of {cells[command][fault]}: {said[-300:]}")
                elif not said.strip():
                    wrong.append(f"{command} {arguments}: {code} without a word")
            self.assertEqual(wrong, [], "\n".join(wrong))

    @staticmethod
    def end(folder, command, arguments):
        executable, *words = command.split()
        # A state directory each, in which nobody else writes.
        arguments = arguments.replace(f"{folder}/OWN", tempfile.mkdtemp(dir=folder))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("GROOT_", "ROS_"))}
        try:
            ended = subprocess.run(
                unprivileged([str(BINARIES / executable), *words, *arguments.split()]), cwd=folder, env=environment, timeout=90,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )
            return ended.returncode, ended.stdout
        except subprocess.TimeoutExpired as late:
            return "still running", (late.stdout or b"").decode(errors="replace")


if __name__ == "__main__":
    unittest.main()
