"""`make bench-settings`: what each setting of docs/operations/tuning.md does, one change at a time.

The same seeded scenes per row, over a link with a round trip of its own (relay of late_link.py). Every cell of the table
is comparable with the row "as delivered" of the same run, and only with that.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor

from bench_delay import FIRST_SEED, episodes
from demo import say
from fleet import ROOT, Child, Fleet
from late_link import Relay

STATE = ROOT / ".state" / "bench-settings"
AGENT = (
    ("as delivered", []),
    ("--chunk-size-threshold 0.2", ["--chunk-size-threshold", "0.2"]),
    ("--chunk-size-threshold 0.3", ["--chunk-size-threshold", "0.3"]),
    ("--chunk-size-threshold 0.8", ["--chunk-size-threshold", "0.8"]),
    ("--chunk-size-threshold auto", ["--chunk-size-threshold", "auto"]),
    ("--action-chunk-size 8", ["--action-chunk-size", "8"]),
    ("--blend-ms 10", ["--blend-ms", "10"]),
    ("--blend-ms 500", ["--blend-ms", "500"]),
    ("--aggregate-fn latest_only", ["--aggregate-fn", "latest_only"]),
    ("--mode sync", ["--mode", "sync"]),
)
WORKER = (("worker --inference-latency 0.2", ["--inference-latency", "0.2"]),)


def measured(fleet: Fleet, relay: Relay, count: int, options: list[str]) -> list[dict]:
    mode = options[options.index("--mode") + 1] if "--mode" in options else "async"
    rest = [] if "--mode" in options else options
    share = -(-count // fleet.robots)
    with ThreadPoolExecutor(fleet.robots) as pool:
        address = relay.address(fleet.gateway_port)
        found = pool.map(
            lambda cell: list(episodes(fleet, address, cell, mode, share, FIRST_SEED + 1000 * cell, rest)), range(fleet.robots)
        )
        return [episode for group in found for episode in group]


def runway(fleet: Fleet, done: list[dict]) -> str:
    """Median motion left when a chunk arrived, ms; an episode's first chunk finds none and does not count."""
    ids = ",".join(f"'{episode['episode']}'" for episode in done)
    return fleet.psql("-At", "-c", f"""
        SELECT coalesce(round(percentile_cont(0.5) WITHIN GROUP (ORDER BY runway_at_arrival_ns) / 1e6)::text, '-')
        FROM (SELECT runway_at_arrival_ns, row_number() OVER (PARTITION BY episode_id ORDER BY sequence) AS place FROM inferences
              WHERE status = 'OK' AND episode_id IN ({ids})) AS chunk WHERE place > 1""").strip()


def row(fleet: Fleet, name: str, done: list[dict]) -> str:
    def middle(key: str) -> str:
        values = [episode[key] for episode in done if episode.get(key) is not None]
        return f"{statistics.median(values):.0f}" if values else "-"

    good = sum(episode["outcome"] in ("success", "refused") for episode in done)
    ticks = sum(episode["ticks"] for episode in done)
    starved = sum(episode["starved_ticks"] for episode in done)
    failed = sum(episode["failed_inferences"] for episode in done)
    step = [episode["border_step_p95"] for episode in done if episode.get("border_step_p95") is not None]
    rate = sum(episode["chunks"] for episode in done) / (ticks / 100) if ticks else 0
    cells = [f"`{name}`" if "-" in name else name, f"{good}/{len(done)}", f"{100 * starved / max(1, ticks):.1f} %", runway(fleet, done),
             f"{rate:.2f}", middle("latency_p50_ms"), middle("observation_age_ms"), f"{statistics.median(step):.3f}" if step else "-", str(failed)]
    return "| " + " | ".join(cells) + " |"


def worker(fleet: Fleet, options: list[str]) -> Child:
    child = fleet.start(
        "w1", "groot-worker", "--name", "w1", "--checkpoint", str(fleet.checkpoint),
        "--listen", f"127.0.0.1:{fleet.worker_ports[0]}", "--admin", f"127.0.0.1:{fleet.worker_admins[0]}", *options,
    )  # fmt: skip
    fleet.wait_ready(child, fleet.worker_admins[0])
    return child


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=6, help="per setting")
    parser.add_argument("--robots", type=int, default=2)
    parser.add_argument("--delay", type=float, default=200, help="round trip of the link, ms")
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    fleet = Fleet(robots=arguments.robots, state=STATE, workers=1)
    rows = []
    try:
        gateway = fleet.start_gateway()
        child = worker(fleet, [])
        for index in range(arguments.robots):
            fleet.start_simulator(index)
        fleet.wait_ready(gateway, fleet.gateway_admin)
        relay = Relay()
        relay.set(arguments.delay / 1000, 0)
        for name, options in AGENT:
            rows.append(row(fleet, name, measured(fleet, relay, arguments.episodes, options)))
            say(rows[-1])
        for name, options in WORKER:
            child.stop(20)
            fleet.children.remove(child)
            child = worker(fleet, options)
            fleet.wait_ready(gateway, fleet.gateway_admin)
            rows.append(row(fleet, name, measured(fleet, relay, arguments.episodes, [])))
            say(rows[-1])
    finally:
        fleet.stop()
    print("\n| setting | success | starved ticks | runway at arrival p50 ms | chunks/s | capture to merge p50 ms | "
          "observation age ms | step of speed at chunk borders p95, rad/s | failed requests |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
