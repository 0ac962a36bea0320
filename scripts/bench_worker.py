"""`make bench-worker`: what the worker costs around an inference, on a CPU.

Three questions, each against a release build over gRPC on loopback, with as many robots as processes of clients carry:

1. overhead: a synthetic checkpoint whose inference takes no time, 460 kB of raw images per request. Round trip with one
   robot, requests per second and CPU microseconds of the worker per request with eight.
2. memory: resident kilobytes per robot that is connected and idle, over 200 of them.
3. batching: chunks per second of the shipped policy for sixteen robots, one request per inference beside up to eight,
   in turns; the ratio is the figure to trust.

The table goes to .state/bench-worker.md. Needs Debian's python3-grpcio (`make setup` installs it).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import grpc

from demo import say
from fleet import ROOT, free_port

STATE = ROOT / ".state" / "bench-worker"
TABLE = ROOT / ".state" / "bench-worker.md"
BINARY = ROOT / ".build/release/groot-worker"
METHOD = "/groot.v1.Inference/Infer"
TICKS = os.sysconf("SC_CLK_TCK")
MINI = ROOT / "policies" / "groot-mini"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def chunk(field: int, data: bytes) -> bytes:
    """A length-delimited field of the protobuf encoding."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def request(config: dict, robot: str) -> bytes:
    """A `groot.v1.InferRequest` that fits the checkpoint; field numbers as in inference.proto."""
    message = chunk(1, robot.encode()) + chunk(7, b"Depalletize the green box")
    for key, feature in config["input_features"].items():
        if feature["type"] != "VISUAL":
            continue
        _, height, width = feature["shape"]
        image = chunk(1, key.encode()) + b"\x10\x01\x18" + varint(width) + b"\x20" + varint(height)
        message += chunk(8, image + chunk(5, bytes(width * height * 3)))
    names = config["groot"]["state_names"]
    for name in names:
        message += chunk(9, name.encode())
    return message + chunk(10, struct.pack(f"<{len(names)}f", *[0.0] * len(names)))


class Worker:
    """A running groot-worker; leaving the block stops it."""

    def __init__(
        self, checkpoint: pathlib.Path, *flags: str, binary: pathlib.Path = BINARY, ready_seconds: float = 60
    ) -> None:
        self.port, self.admin, self.ready_seconds = free_port(0), free_port(0), ready_seconds
        STATE.mkdir(parents=True, exist_ok=True)
        self.log = STATE / "worker.log"
        environment = dict(os.environ, GROOT_ONNXRUNTIME=str(ROOT / ".state/onnxruntime/libonnxruntime.so"))
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [binary, "--checkpoint", checkpoint, "--listen", f"127.0.0.1:{self.port}",
                 "--admin", f"127.0.0.1:{self.admin}", *flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            )  # fmt: skip

    def __enter__(self) -> Worker:
        deadline = time.monotonic() + self.ready_seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz") as answer:
                if answer.status == 200:
                    return self
            time.sleep(0.05)
        self.__exit__()
        sys.exit(f"the worker does not serve; see {self.log}")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_kilobytes(self) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")


def call_for(port: int, body: bytes, seconds: float, ready, results) -> None:
    """One robot: request after request once all are ready; puts its round trips in seconds, or what failed."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            infer = channel.unary_unary(METHOD)
            infer(body, timeout=30)
            ready.wait()
            until = time.monotonic() + seconds
            trips = []
            while time.monotonic() < until:
                began = time.monotonic()
                infer(body, timeout=30)
                trips.append(time.monotonic() - began)
        results.put(trips)
    except threading.BrokenBarrierError:
        results.put("another robot failed")
    except grpc.RpcError as error:
        ready.abort()
        results.put(f"{error.code()}: {error.details()}")


def drive(worker: Worker, config: dict, robots: int, seconds: float) -> tuple[list[float], float]:
    """All round trips of so many robots at once, and CPU seconds of the worker per request."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    ready = context.Barrier(robots + 1)
    clients = [
        context.Process(target=call_for, args=(worker.port, request(config, f"r{i}"), seconds, ready, results))
        for i in range(robots)
    ]
    for client in clients:
        client.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        ready.wait(60)
    cpu = worker.cpu_seconds()
    answers = [results.get(timeout=seconds + 60) for _ in clients]
    cpu = worker.cpu_seconds() - cpu
    for client in clients:
        client.join()
    failed = [answer for answer in answers if isinstance(answer, str)]
    if failed:
        sys.exit(f"bench-worker: {len(failed)} of {robots} robots failed, e.g. {max(failed, key=len)}")
    trips = sorted(trip for answer in answers for trip in answer)
    return trips, cpu / len(trips)


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def synthetic() -> tuple[pathlib.Path, dict]:
    """A checkpoint without a policy: two cameras of 320 x 240 raw RGB make 460.8 kB."""
    config = json.loads((MINI / "config.json").read_text())
    for feature in config["input_features"].values():
        if feature["type"] == "VISUAL":
            feature["shape"] = [3, 240, 320]
    folder = STATE / "zero"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "synthetic.json").write_text(json.dumps({"batch_ms": {"1": 0, "8": 0}}))
    return folder, config


def overhead(seconds: float) -> list[str]:
    folder, config = synthetic()
    with Worker(folder) as worker:
        say("overhead: one robot, then eight")
        alone, alone_cpu = drive(worker, config, 1, seconds)
        many, cpu = drive(worker, config, 8, seconds)
    return [
        f"| round trip of 460 kB, one robot, p50 / p99 | {percentile(alone, 0.5) * 1e3:.2f} / {percentile(alone, 0.99) * 1e3:.2f} ms |",
        f"| CPU of the worker per request, one robot | {alone_cpu * 1e6:.0f} us |",
        f"| requests/s, eight robots (clients in Python share the machine) | {len(many) / seconds:.0f} |",
        f"| CPU of the worker per request, eight robots | {cpu * 1e6:.0f} us |",
    ]


def memory(robots: int) -> list[str]:
    folder, config = synthetic()
    with Worker(folder) as worker:
        say(f"memory: {robots} robots connect, ask once and idle")
        # What the first requests make is not per robot.
        channels = [grpc.insecure_channel(f"127.0.0.1:{worker.port}", options=[("grpc.use_local_subchannel_pool", 1)])
                    for _ in range(robots + 20)]  # fmt: skip
        for index, channel in enumerate(channels[:20]):
            channel.unary_unary(METHOD)(request(config, f"w{index}"), timeout=30)
        time.sleep(1)
        before = worker.resident_kilobytes()
        for index, channel in enumerate(channels[20:]):
            channel.unary_unary(METHOD)(request(config, f"r{index}"), timeout=30)
        time.sleep(1)
        after = worker.resident_kilobytes()
        for channel in channels:
            channel.close()
    return [f"| memory per connected idle robot, over {robots} | {(after - before) / robots:.0f} kB |",
            f"| memory of the worker with none of them | {before / 1024:.0f} MB |"]  # fmt: skip


def batching(seconds: float, rounds: int) -> list[str]:
    config = json.loads((MINI / "config.json").read_text())
    rates: dict[int, list[float]] = {1: [], 8: []}
    for number in range(rounds):
        say(f"batching: round {number + 1} of {rounds}")
        for size, found in rates.items():
            with Worker(MINI, "--max-batch", str(size)) as worker:
                trips, _ = drive(worker, config, 16, seconds)
                found.append(len(trips) / seconds)
    gains = [many / one for one, many in zip(rates[1], rates[8])]
    return [
        f"| chunks/s of groot-mini, 16 robots, one per inference | {statistics.median(rates[1]):.0f} |",
        f"| the same, up to eight per inference | {statistics.median(rates[8]):.0f} |",
        f"| gain, median of {rounds} rounds | {statistics.median(gains):.2f} |",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="per measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of the batching comparison")
    parser.add_argument("--idle", type=int, default=200, help="robots of the memory measurement")
    arguments = parser.parse_args()
    rows = overhead(arguments.seconds) + memory(arguments.idle) + batching(arguments.seconds, arguments.rounds)
    table = "\n".join(["| | |", "|---|---|", *rows]) + "\n"
    TABLE.write_text(table)
    print(f"\n{table}\n{TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
