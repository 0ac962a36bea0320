"""`make bench-delay`: success and starvation over the simulator with network delay between robots and gateway.

Four robots at once over one gateway and two workers. Each row is one added round trip; every mode and every delay runs the
same scenes. The link is `tc netem` in a network namespace where the kernel has it, else a TCP relay (late_link.py says how
each treats loss); the table says which. The row without delay has no loss either: it is what the others are compared with.

Every finished episode goes to .state/bench-delay.json at once; `--resume` (RESUME=1) runs only what is missing there. The
table goes to .state/bench-delay.md. EPISODES=40 takes about 35 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench_agent import write
from demo import say
from fleet import ROOT, Fleet
from late_link import Netem, Relay, open_link

STATE = ROOT / ".state" / "bench-delay"
RESULTS = ROOT / ".state" / "bench-delay.json"
TABLE = ROOT / ".state" / "bench-delay.md"
COLOURS = ("green", "red", "blue", "yellow")
FIRST_SEED = 700_000
# Scenes of one robot lie apart from the next robot's.
SEEDS_PER_ROBOT = 1000
# An episode lasts up to 45 s of simulated time; more than this of real time is a hang.
EPISODE_LIMIT = 180
# An agent that ends without a finished episode this often in a row will not do better.
FRUITLESS_STARTS = 3


def episodes(
    fleet: Fleet, gateway: str, robot: int, mode: str, count: int, seed: int, options: list[str], wrapper: list[str] | None = None
) -> Iterator[dict]:
    """The reports of one run of a robot's agent, as its episodes finish; fewer when the safety gate ended the run."""
    name = fleet.robot_name(robot)
    child = fleet.start(
        f"agent-{name}", "groot-agent",
        "--robot", name, "--task", f"Depalletize the {COLOURS[robot % len(COLOURS)]} box",
        "--gateway", gateway, "--ros-master", f"http://127.0.0.1:{fleet.master_ports[robot]}",
        "--state-dir", str(fleet.state / f"agent-{name}"), "--mode", mode, "--episodes", str(count), "--seed", str(seed),
        "--no-run-config", "--json", *options, stdout=subprocess.PIPE, wrapper=wrapper,
    )  # fmt: skip
    watchdog = threading.Timer(EPISODE_LIMIT * count + 60, child.process.kill)
    watchdog.start()
    try:
        for line in child.process.stdout:
            if line.startswith(b"{"):
                yield json.loads(line)
    finally:
        watchdog.cancel()
        child.stop(budget=20)
        fleet.children.remove(child)


class Bench:
    """The fleet, the link, and what was measured so far. Worker threads of `cell` share it; `lock` guards the results."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.link: Netem | Relay = Relay() if arguments.relay else open_link()
        self.lock = threading.Lock()
        self.settings = {"threshold": arguments.threshold, "loss": arguments.loss, "link": self.link.name,
                         "options": arguments.options}  # fmt: skip
        self.results = {"settings": self.settings, "episodes": {}}
        if arguments.resume and RESULTS.exists():
            kept = json.loads(RESULTS.read_text())
            if kept["settings"] == self.settings:
                self.results = kept
            else:
                say(f"{RESULTS.relative_to(ROOT)} was measured with other settings: starting over")
        self.fleet = Fleet(robots=arguments.robots, state=STATE)
        self.total = len(arguments.delays) * len(arguments.modes) * arguments.episodes
        self.ran = 0
        self.started = time.monotonic()

    def start_fleet(self) -> None:
        fleet, far = self.fleet, self.link.wrapper
        gateway = fleet.start(
            "gateway", "groot-gateway",
            "--workers", ",".join(f"127.0.0.1:{port}" for port in fleet.worker_ports),
            "--listen", f"{self.link.gateway_host}:{fleet.gateway_port}", "--admin", f"127.0.0.1:{fleet.gateway_admin}",
            "--state-dir", str(fleet.gateway_state),
        )  # fmt: skip
        workers = [fleet.start_worker(index) for index in range(fleet.workers)]
        self.address = self.link.address(fleet.gateway_port)
        for index in range(fleet.robots):
            fleet.start(f"sim-{fleet.robot_name(index)}", "groot-sim", "--robot", fleet.robot_name(index),
                        "--master-port", str(fleet.master_ports[index]), wrapper=far)  # fmt: skip
        for index, worker in enumerate(workers):
            fleet.wait_ready(worker, fleet.worker_admins[index])
        fleet.wait_ready(gateway, fleet.gateway_admin)

    def cell(self, delay: int, mode: str) -> list[dict]:
        return self.results["episodes"].setdefault(f"{delay}/{mode}", [])

    def took(self, delay: int, mode: str, episode: dict) -> None:
        with self.lock:
            self.cell(delay, mode).append(episode)
            self.ran += 1
            write(RESULTS, json.dumps(self.results, indent=1))

    def drive(self, robot: int, delay: int, mode: str) -> None:
        """One robot's share of a cell. A run that the safety gate ended goes on with the next scene."""
        first = FIRST_SEED + SEEDS_PER_ROBOT * robot
        share = len(range(robot, self.arguments.episodes, self.arguments.robots))
        with self.lock:
            done = {episode["seed"] for episode in self.cell(delay, mode)}
        options = ["--chunk-size-threshold", self.arguments.threshold, *shlex.split(self.arguments.options)]
        fruitless = 0
        while missing := [seed for seed in range(first, first + share) if seed not in done]:
            # What is missing is a tail, unless a run was interrupted between two others.
            run = [seed for seed in missing if seed - missing[0] == missing.index(seed)]
            finished = 0
            for episode in episodes(self.fleet, self.address, robot, mode, len(run), run[0], options, self.link.wrapper):
                done.add(episode["seed"])
                finished += 1
                self.took(delay, mode, episode)
            fruitless = 0 if finished else fruitless + 1
            if fruitless == FRUITLESS_STARTS:
                done.add(run[0])
                self.took(delay, mode, {"seed": run[0], "outcome": "aborted", "reason": "the agent finished no episode",
                                        "ticks": 0, "starved_ticks": 0, "duration_s": 0})  # fmt: skip
                fruitless = 0

    def run(self) -> None:
        arguments = self.arguments
        missing = self.total - sum(
            min(arguments.episodes, len(self.cell(delay, mode))) for delay in arguments.delays for mode in arguments.modes
        )
        for delay in arguments.delays:
            self.link.set(delay / 1000, arguments.loss if delay else 0.0)
            for mode in arguments.modes:
                with ThreadPoolExecutor(arguments.robots) as pool:
                    list(pool.map(lambda robot: self.drive(robot, delay, mode), range(arguments.robots)))
                row = Row(delay, mode, self.cell(delay, mode))
                spent = time.monotonic() - self.started
                rest = spent / max(1, self.ran) * (missing - self.ran)
                say(f"{delay} ms {mode}: {row.good}/{row.count}, starved {row.starved_percent:.1f} % "
                    f"({spent / 60:.1f} min, {rest / 60:.0f} to go)")  # fmt: skip
                write(TABLE, self.table())

    def table(self) -> str:
        arguments = self.arguments
        load = f"{arguments.robots} robots at once, {os.cpu_count()} processors, --chunk-size-threshold {arguments.threshold} {arguments.options}".rstrip()
        lines = [
            f"Link: {self.link.name}; {100 * arguments.loss:g} % loss in each direction except in the row without delay. {load}.",
            "",
            "| added round trip ms | mode | success | 95 % interval | of undelayed | starved ticks | capture to merge p50 ms "
            "| p99 ms | observation age ms | duration s |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        rows = [Row(delay, mode, self.cell(delay, mode)) for delay in arguments.delays for mode in arguments.modes]
        still = {mode: Row(0, mode, self.cell(0, mode)) for mode in arguments.modes}
        lines += [row.markdown(still[row.mode]) for row in rows if row.count]
        return "\n".join(lines) + "\n"


class Row:
    """What one delay and mode came to."""

    def __init__(self, delay: int, mode: str, episodes: list[dict]) -> None:
        self.delay, self.mode, self.episodes, self.count = delay, mode, episodes, len(episodes)
        # Refusing a box that is not on the pallet is what the simulator's judge wants, too.
        self.good = sum(episode["outcome"] in ("success", "refused") for episode in episodes)
        ticks = sum(episode["ticks"] for episode in episodes)
        self.starved_percent = 100 * sum(episode["starved_ticks"] for episode in episodes) / max(1, ticks)

    def mean(self, key: str) -> str:
        values = [episode[key] for episode in self.episodes if episode.get(key) is not None]
        return f"{sum(values) / len(values):.0f}" if values else "-"

    def interval(self) -> str:
        """Wilson's interval of the rate."""
        z, n, p = 1.96, self.count, self.good / self.count
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return f"{100 * (middle - half):.0f} to {100 * (middle + half):.0f} %"

    def markdown(self, still: Row) -> str:
        rate = self.good / self.count
        relative = f"{100 * rate * still.count / still.good:.0f} %" if still.good else "-"
        seconds = sorted(episode["duration_s"] for episode in self.episodes)
        return (
            f"| {self.delay} | {self.mode} | {self.good}/{self.count} ({100 * rate:.0f} %) | {self.interval()} | {relative} | "
            f"{self.starved_percent:.1f} % | {self.mean('latency_p50_ms')} | {self.mean('latency_p99_ms')} | "
            f"{self.mean('observation_age_ms')} | {seconds[len(seconds) // 2]:.1f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10, help="per mode and delay, shared out among the robots")
    parser.add_argument("--robots", type=int, default=4)
    parser.add_argument("--modes", default="async,sync,rtc", type=lambda text: text.split(","))
    parser.add_argument("--delays", default="0,50,150,300,400", help="added round trips, ms",
                        type=lambda text: [int(part) for part in text.split(",")])  # fmt: skip
    parser.add_argument("--loss", type=float, default=0.01, help="share of lost packets, each way")
    parser.add_argument("--threshold", default="auto", help="--chunk-size-threshold of async and rtc")
    parser.add_argument("--options", default="", help='more flags of groot-agent, e.g. "--image-encoding jpeg:90"')
    parser.add_argument("--resume", action="store_true", help="keep the episodes that were measured before")
    parser.add_argument("--relay", action="store_true", help="the TCP relay even where tc netem works")
    bench = Bench(parser.parse_args())
    say(f"link: {bench.link.name}; {bench.total} episodes, {bench.arguments.robots} robots at once")
    shutil.rmtree(STATE, ignore_errors=True)
    bench.fleet.logs.mkdir(parents=True)
    try:
        bench.start_fleet()
        bench.run()
    finally:
        bench.fleet.stop()
        bench.link.close()
    print(f"\n{bench.table()}\nalso in {TABLE.relative_to(ROOT)}, episodes in {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
