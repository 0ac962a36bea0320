"""Success of the shipped policy through the whole system, in real time: per colour, per wording, per control mode.

Each group of episodes (one task sentence) runs as `groot-agent --episodes N` on one of several simulated cells, all
behind one gateway and two workers. Seeds are those of the group, the same in every mode, so modes are compared on
the same scenes.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from demo import say
from fleet import ROOT, Fleet, FleetError

STATE = ROOT / ".state" / "evaluate"
COLOURS = ("red", "green", "blue", "yellow")
WORDINGS = (
    "Depalletize the {} box",
    "Take the {} box off the pallet",
    "Unload the {} carton",
    "Please move the {} box to the belt",
    "Pick up the {} package",
)
# Boxes that do not exist: the robot has to stay home.
ABSENT = ("purple", "orange")
FIRST_SEED = 500_000


def wilson(successes: int, total: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    z = 1.96
    rate = successes / total
    centre = rate + z * z / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (centre - spread) / scale, (centre + spread) / scale


def groups(episodes: int, absent: int) -> list[tuple[str, str, str, int, int]]:
    """(colour, wording, task, first seed, episodes) such that colours and wordings get equal shares."""
    cells = [(colour, wording) for wording in WORDINGS for colour in COLOURS]
    share, rest = divmod(episodes, len(cells))
    result = []
    seed = FIRST_SEED
    for index, (colour, wording) in enumerate(cells):
        count = share + (1 if index < rest else 0)
        if count:
            result.append((colour, wording, wording.format(colour), seed, count))
        seed += count
    for colour in ABSENT:
        count = absent // len(ABSENT)
        if count:
            result.append((colour, WORDINGS[0], WORDINGS[0].format(colour), seed, count))
        seed += count
    return result


def run_group(fleet: Fleet, cell: int, mode: str, group: tuple) -> list[dict]:
    """Episodes of one task on one cell, as the agent reports them (one JSON line each)."""
    colour, wording, task, seed, count = group
    agent = fleet.start_agent(
        cell, task, "--episodes", str(count), "--seed", str(seed), "--mode", mode, "--json", stdout=subprocess.PIPE
    )
    output, _ = agent.process.communicate(timeout=90 * count + 120)
    fleet.children.remove(agent)
    episodes = [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]
    if agent.process.returncode != 0 or len(episodes) != count:
        kept = agent.log.with_suffix(f".{seed}.log")
        shutil.copy(agent.log, kept)
        print(f"    {task!r} seed {seed}: agent ended with {agent.process.returncode}, "
              f"{len(episodes)} of {count} episodes; log {kept}", flush=True)  # fmt: skip
    for episode in episodes:
        episode |= {"colour": colour, "wording": wording, "mode": mode}
        print(f"    {mode:5s} seed {episode['seed']} {task!r}: {episode['outcome']} {episode['duration_s']:.1f} s, "
              f"{gated([episode])} gated", flush=True)  # fmt: skip
    return episodes


def run_mode(fleet: Fleet, mode: str, work: list[tuple]) -> list[dict]:
    idle: SimpleQueue[int] = SimpleQueue()
    for cell in range(fleet.robots):
        idle.put(cell)

    def one(group: tuple) -> list[dict]:
        cell = idle.get()
        try:
            return run_group(fleet, cell, mode, group)
        finally:
            idle.put(cell)

    with ThreadPoolExecutor(fleet.robots) as pool:
        return [episode for episodes in pool.map(one, work) for episode in episodes]


def median(values: list[float]) -> float:
    values = sorted(values)
    return values[len(values) // 2] if values else float("nan")


def gated(episodes: list[dict]) -> str:
    """Share of the control ticks in which the safety gate changed the command, by more than a policy's ordinary noise."""
    ticks = sum(episode["ticks"] for episode in episodes)
    return f"{100 * sum(episode['limited_ticks'] for episode in episodes) / ticks:.1f} %" if ticks else "-"


def table(title: str, episodes: list[dict], key: str) -> list[str]:
    rows = defaultdict(list)
    for episode in episodes:
        rows[episode[key]].append(episode)
    lines = [
        f"### {title}",
        "",
        f"| {key} | success | 95 % interval | median duration s | starved ticks | gated ticks | p50 / p99 latency ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, members in rows.items():
        good = sum(episode["outcome"] in ("success", "refused") for episode in members)
        low, high = wilson(good, len(members))
        lines.append(
            f"| {name} | {good}/{len(members)} | {100 * low:.0f}-{100 * high:.0f} % | "
            f"{median([e['duration_s'] for e in members]):.1f} | {sum(e['starved_ticks'] for e in members)} | {gated(members)} | "
            f"{median([e['latency_p50_ms'] for e in members]):.0f} / {max(e['latency_p99_ms'] for e in members):.0f} |"
        )
    return lines + [""]


def report(episodes: list[dict], command: str) -> str:
    lines = ["# Success through the full stack", "", f"`{command}`", ""]
    lines += table("Control mode", [e for e in episodes if e["colour"] in COLOURS], "mode")
    for mode in dict.fromkeys(e["mode"] for e in episodes):
        asked = [e for e in episodes if e["mode"] == mode and e["colour"] in COLOURS]
        lines += table(f"{mode}, per colour", asked, "colour")
        lines += table(f"{mode}, per wording", asked, "wording")
        absent = [e for e in episodes if e["mode"] == mode and e["colour"] in ABSENT]
        if absent:
            lines += table(f"{mode}, a colour that is not there (success: stayed home)", absent, "colour")
    failed = [e for e in episodes if e["outcome"] not in ("success", "refused")]
    lines += ["### What failed", ""]
    lines += [f"- {e['mode']} seed {e['seed']} \"{e['task']}\": {e['outcome']}, {e.get('reason', '')}" for e in failed] or ["Nothing."]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=100, help="with a box that is there, per mode")
    parser.add_argument("--absent", type=int, default=20, help="with a colour that is not there, per mode")
    parser.add_argument("--modes", default="async,sync")
    parser.add_argument("--robots", type=int, default=4, help="cells that run side by side")
    parser.add_argument("--report", help="also write the tables to this file")
    arguments = parser.parse_args()

    shutil.rmtree(STATE, ignore_errors=True)
    fleet = Fleet(robots=arguments.robots, state=STATE)
    episodes: list[dict] = []
    try:
        gateway = fleet.start_gateway()
        workers = [fleet.start_worker(index) for index in range(fleet.workers)]
        for index in range(fleet.robots):
            fleet.start_simulator(index)
        for index, worker in enumerate(workers):
            fleet.wait_ready(worker, fleet.worker_admins[index])
        fleet.wait_ready(gateway, fleet.gateway_admin)
        for mode in arguments.modes.split(","):
            say(f"{mode}: {arguments.episodes} episodes on {arguments.robots} cells")
            started = time.monotonic()
            episodes += run_mode(fleet, mode, groups(arguments.episodes, arguments.absent))
            print(f"    {time.monotonic() - started:.0f} s", flush=True)
    except FleetError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    finally:
        fleet.stop()
    text = report(episodes, f"make evaluate EPISODES={arguments.episodes} MODES={arguments.modes} ROBOTS={arguments.robots}")
    print("\n" + text)
    if arguments.report:
        with open(arguments.report, "w", encoding="utf-8") as output:
            output.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
