"""`make bench-link-cut`: what becomes of episodes whose link to the gateway is cut in mid-motion.

One simulated robot, one gateway, two workers. Each episode is a run of its own; in its second to fourth second, while the arms
move, every packet of the link vanishes for as long as its turn says (CUTS=5,15,40 s). The link is a veth pair into a network
namespace where that is allowed (root), else a TCP relay (late_link.py). Printed for each episode: how it ended, and how long after
the cut the first answer came; then a table. EPISODES=20 takes about ten minutes.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import statistics
import sys
import threading
import time
import urllib.request

from bench_delay import episodes
from demo import say
from fleet import ROOT, Fleet, FleetError
from late_link import Relay, Wire, open_wire

STATE = ROOT / ".state" / "bench-link-cut"
TABLE = ROOT / ".state" / "bench-link-cut.md"
FIRST_SEED = 800_000
# The longest cut, an episode, and patience for the first answer behind it.
EPISODE_LIMIT = 150
MOVES_WITHIN = 60.0


def answers(fleet: Fleet) -> int:
    """Inferences that the gateway has passed back so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.gateway_admin}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if re.match(r'groot_gateway_attempts_total\{.*outcome="ok"', line))


class Cut(threading.Thread):
    """Waits until an episode is in motion and cuts its link; `seconds_until_answer` is nil when the episode ended meanwhile."""

    def __init__(self, fleet: Fleet, link: Wire | Relay, length: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.fleet, self.link, self.length = fleet, link, length
        self.into = random.Random(seed).uniform(1, 3)
        self.before = answers(fleet)
        self.is_over = threading.Event()
        self.was_cut = False
        self.seconds_until_answer: float | None = None

    def wait_for(self, count: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.is_over.is_set():
            if answers(self.fleet) >= count:
                return True
            time.sleep(0.05)
        return False

    def run(self) -> None:
        if not self.wait_for(self.before + 1, MOVES_WITHIN) or self.is_over.wait(self.into):
            return
        self.link.cut(True)
        self.was_cut = True
        try:
            self.is_over.wait(self.length)
        finally:
            self.link.cut(False)
        # What was under way when the link went counts as before it.
        known, mended = answers(self.fleet), time.monotonic()
        if self.wait_for(known + 1, EPISODE_LIMIT):
            self.seconds_until_answer = time.monotonic() - mended


def start(fleet: Fleet, link: Wire | Relay) -> None:
    gateway = fleet.start(
        "gateway", "groot-gateway", "--workers", ",".join(f"127.0.0.1:{port}" for port in fleet.worker_ports),
        "--listen", f"{link.gateway_host}:{fleet.gateway_port}", "--admin", f"127.0.0.1:{fleet.gateway_admin}",
        "--state-dir", str(fleet.gateway_state),
    )  # fmt: skip
    workers = [fleet.start_worker(index) for index in range(fleet.workers)]
    fleet.start("sim-r1", "groot-sim", "--robot", "r1", "--master-port", str(fleet.master_ports[0]), wrapper=link.wrapper)
    for index, worker in enumerate(workers):
        fleet.wait_ready(worker, fleet.worker_admins[index])
    fleet.wait_ready(gateway, fleet.gateway_admin)


def one(fleet: Fleet, link: Wire | Relay, length: float, seed: int) -> dict:
    cut = Cut(fleet, link, length, seed)
    cut.start()
    options = ["--episode-timeout", f"{EPISODE_LIMIT}s"]
    reports = list(episodes(fleet, link.address(fleet.gateway_port), 0, "async", 1, seed, options, link.wrapper))
    cut.is_over.set()
    cut.join()
    ended = reports[0] if reports else {"outcome": "none", "reason": "the agent reported no episode", "duration_s": 0.0}
    return ended | {"cut": length, "seed": seed, "was_cut": cut.was_cut, "answer": cut.seconds_until_answer}


def table(link: Wire | Relay, done: list[dict]) -> str:
    lines = [f"Link: {link.name}. {len(done)} episodes.", "",
             "| cut s | episodes | cut in motion | went on | outcomes | first answer after the cut, median s | longest s |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for length in sorted({episode["cut"] for episode in done}):
        members = [episode for episode in done if episode["cut"] == length]
        counts = {outcome: sum(one["outcome"] == outcome for one in members) for outcome in sorted({one["outcome"] for one in members})}
        waits = [one["answer"] for one in members if one["answer"] is not None]
        middle, longest = (f"{statistics.median(waits):.1f}", f"{max(waits):.1f}") if waits else ("-", "-")
        lines.append(
            f"| {length:g} | {len(members)} | {sum(one['was_cut'] for one in members)} | {len(waits)} | "
            f"{', '.join(f'{outcome} {count}' for outcome, count in counts.items())} | {middle} | {longest} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--cuts", default="5,15,40", help="seconds, in turn", type=lambda text: [float(part) for part in text.split(",")])
    parser.add_argument("--relay", action="store_true", help="the TCP relay even where a network namespace works")
    parser.add_argument("--configuration", default="release", help="of the executables: release or debug")
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    link = Relay() if arguments.relay else open_wire()
    fleet = Fleet(robots=1, state=STATE, configuration=arguments.configuration)
    done: list[dict] = []
    try:
        start(fleet, link)
        say(f"link: {link.name}; {arguments.episodes} episodes, cut for {', '.join(f'{cut:g}' for cut in arguments.cuts)} s in turn")
        for index in range(arguments.episodes):
            episode = one(fleet, link, arguments.cuts[index % len(arguments.cuts)], FIRST_SEED + index)
            done.append(episode)
            answer = "no answer behind it" if episode["answer"] is None else f"first answer {episode['answer']:.1f} s behind it"
            cut = f"cut {episode['cut']:g} s, {answer}" if episode["was_cut"] else "over before it was cut"
            print(f"    seed {episode['seed']}: {cut}; {episode['outcome']} after {episode['duration_s']:.1f} s ({episode['reason']})", flush=True)
    except FleetError as error:
        print(f"bench-link-cut: {error}", file=sys.stderr)
        return 1
    finally:
        fleet.stop()
        link.close()
    TABLE.write_text(table(link, done))
    print(f"\n{table(link, done)}\nalso in {TABLE.relative_to(ROOT)}")
    # Cut or not, an episode ends in one of the documented ways; a fault or a lost agent is none of them here.
    return 0 if all(episode["outcome"] not in ("none", "aborted") for episode in done) else 1


if __name__ == "__main__":
    sys.exit(main())
