"""`make bench-agent`: jitter of the 100 Hz control thread, idle and loaded, with and without real-time rights, beside a
Python loop written the way the guide's client is (work, then sleep what is left of the period)."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
AGENT = ROOT / ".build" / "release" / "groot-agent"


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def python_loop(seconds: int) -> dict:
    """Lateness of each cycle against an ideal 100 Hz grid; the grid moves along with missed cycles."""
    period = 0.01
    start = time.monotonic()
    late, published, due = [], 0, start
    state = [0.0] * 14
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    while time.monotonic() - start < seconds:
        began = time.monotonic()
        late.append((began - due) * 1e6)
        # About what the guide's loop does per step: 14 conversions, a message, a log line now and then.
        state = [value * 0.99 + 0.01 * index for index, value in enumerate(state)]
        json.dumps({"position": [value * 57.29577951308232 for value in state]})
        published += 1
        due += period
        rest = period - (time.monotonic() - began)
        if rest > 0:
            time.sleep(rest)
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu
    # Relative sleeps drift: the grid is laid through the last cycle before each one, as the robot sees intervals.
    intervals = [abs(b - a) for a, b in zip(late, late[1:])]
    return {
        "ticks": published, "missed_cycles": max(0, int(seconds / period) - published),
        "p50_us": quantile(intervals, 0.5), "p99_us": quantile(intervals, 0.99), "p999_us": quantile(intervals, 0.999),
        "max_us": max(intervals), "cpu_percent": 100 * cpu / seconds,
        "resident_mi_b": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def agent(seconds: int, *options: str) -> dict:
    run = subprocess.run([AGENT, "bench", "--seconds", str(seconds), *options], check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    result["refused"] = "refused" in run.stderr
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="per row")
    parser.add_argument("--python-loop", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.python_loop:
        print(json.dumps(python_loop(arguments.seconds)))
        return 0
    rows = []
    for load in (False, True):
        burners = []
        if load:
            burn = "while True: sum(i * i for i in range(10000))"
            burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(os.cpu_count() or 1)]
        try:
            name = "loaded" if load else "idle"
            rows.append((f"agent, real time, {name}", agent(arguments.seconds)))
            rows.append((f"agent, no real time, {name}", agent(arguments.seconds, "--no-realtime")))
            command = [sys.executable, __file__, "--python-loop", "--seconds", str(arguments.seconds)]
            rows.append((f"Python loop, {name}", json.loads(subprocess.run(command, check=True, capture_output=True).stdout)))
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
    print(f"{arguments.seconds} s per row at 100 Hz; microseconds; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| loop | p50 | p99 | p99.9 | max | missed cycles | CPU % | resident MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in rows:
        note = " (rights refused)" if row.get("refused") else ""
        print(f"| {name}{note} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['p999_us']:.0f} | {row['max_us']:.0f} | "
              f"{row['missed_cycles']} | {row['cpu_percent']:.1f} | {row['resident_mi_b']:.0f} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
