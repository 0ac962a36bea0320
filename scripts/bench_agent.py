"""`make bench-agent`: jitter, CPU and memory of the 100 Hz control thread, idle and with every core loaded, with and
without real-time rights, beside a Python loop written the way the guide's client is (work, then sleep what is left).

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
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
AGENT = ROOT / ".build" / "release" / "groot-agent"
RESULTS = ROOT / ".state" / "bench-agent.json"
TABLE = ROOT / ".state" / "bench-agent.md"
PERIOD = 0.01
ROWS = {
    "agent, real time": ["--seconds", "{seconds}"],
    "agent, no real time": ["--seconds", "{seconds}", "--no-realtime"],
    "Python loop": None,
}


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def python_loop(seconds: int) -> dict:
    """The same measure as the agent's: distance of the time between two cycles from 10 ms."""
    intervals, published, last = [], 0, None
    state = [0.0] * 14
    start = time.monotonic()
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    while time.monotonic() - start < seconds:
        began = time.monotonic()
        if last is not None:
            intervals.append(abs(began - last - PERIOD) * 1e6)
        last = began
        # About what the guide's loop does per step: 14 conversions and a message.
        state = [value * 0.99 + 0.01 * index for index, value in enumerate(state)]
        json.dumps({"position": [value * 57.29577951308232 for value in state]})
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


def measure(options: list[str] | None, seconds: int) -> dict:
    if options is None:
        command = [sys.executable, __file__, "--python-loop", "--seconds", str(seconds)]
    else:
        command = [str(AGENT), "bench", *(option.format(seconds=seconds) for option in options)]
    before = os.getloadavg()[0]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    result.update(seconds=seconds, refused="refused" in run.stderr, load_before=before)
    return result


@contextlib.contextmanager
def loaded_cores():
    """A busy process per core while the block runs."""
    burn = "while True: sum(i * i for i in range(10000))"
    burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def table(rows: dict[str, dict]) -> str:
    lines = [
        f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}; jitter is the distance of the time "
        "between two cycles from 10 ms.",
        "",
        "| loop | seconds | p50 us | p99 us | p99.9 us | max us | missed cycles | CPU % | resident MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        note = " (rights refused)" if row.get("refused") else ""
        lines.append(
            f"| {name}{note} | {row['seconds']} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['p999_us']:.0f} | "
            f"{row['max_us']:.0f} | {row['missed_cycles']} | {row['cpu_percent']:.1f} | {row['resident_mi_b']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def write(path: pathlib.Path, text: str) -> None:
    """All or nothing, so that an interruption leaves the last whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="per row")
    parser.add_argument("--resume", action="store_true", help="keep the rows that were measured before")
    parser.add_argument("--together", action="store_true", help="the three loops of a condition at once")
    parser.add_argument("--python-loop", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.python_loop:
        print(json.dumps(python_loop(arguments.seconds)))
        return 0
    kept = json.loads(RESULTS.read_text()) if arguments.resume and RESULTS.exists() else {}
    wanted = [(f"{name}, {'all cores loaded' if load else 'idle'}", load, options)
              for load in (False, True) for name, options in ROWS.items()]  # fmt: skip
    rows = {name: kept[name] for name, _, _ in wanted if kept.get(name, {}).get("seconds") == arguments.seconds}
    missing = [row for row in wanted if row[0] not in rows]
    batches = [[row] for row in missing]
    if arguments.together:
        batches = [batch for load in (False, True) if (batch := [row for row in missing if row[1] == load])]
    for index, batch in enumerate(batches):
        rest = (len(batches) - index) * (arguments.seconds + 2)
        print(f"{', '.join(row[0] for row in batch)}: {arguments.seconds} s; all done in {rest / 60:.1f} min", flush=True)
        with loaded_cores() if batch[0][1] else contextlib.nullcontext(), ThreadPoolExecutor(len(batch)) as pool:
            measured = pool.map(lambda row: measure(row[2], arguments.seconds), batch)
            rows.update(zip((row[0] for row in batch), measured))
        write(RESULTS, json.dumps(rows, indent=1))
        write(TABLE, table({row[0]: rows[row[0]] for row in wanted if row[0] in rows}))
    print(f"\n{table(rows)}\nalso in {TABLE.relative_to(ROOT)}, as JSON in {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
