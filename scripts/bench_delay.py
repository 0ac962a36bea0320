"""`make bench-delay`: success and starvation over the simulator with network delay between robot and gateway.

The delay and the loss are made by a TCP relay on the loopback interface, because `tc netem` needs a kernel module and
rights that many machines do not give. A block that arrives leaves half the round trip later, in order. A "lost" block
(1 % of them) comes 200 ms plus one round trip later and holds up what is behind it, as a TCP retransmission does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from demo import say
from fleet import ROOT, Fleet, free_port

STATE = ROOT / ".state" / "bench-delay"
COLOURS = ("green", "red", "blue", "yellow")
FIRST_SEED = 700_000


class Relay:
    """Passes one TCP port on to another, late. Runs its own event loop in a thread."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port(0)
        self.delay = self.loss = 0.0
        self.random = random.Random(1)
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(asyncio.start_server(self.accepted, "127.0.0.1", self.port))
            started.set()
            self.loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        started.wait()

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pipe(reader, far_writer), self.pipe(far_reader, writer))

    async def pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, block = await queue.get()
                await asyncio.sleep(max(0, due - self.loop.time()))
                if block is None:
                    break
                writer.write(block)
                await writer.drain()
            writer.close()

        delivery = asyncio.create_task(deliver())
        due = 0.0
        try:
            while block := await reader.read(65536):
                late = 0.2 + self.delay if self.random.random() < self.loss else 0.0
                due = max(due, self.loop.time() + self.delay / 2 + late)
                queue.put_nowait((due, block))
        except OSError:
            pass
        queue.put_nowait((max(due, self.loop.time()), None))
        try:
            await delivery
        except OSError:
            pass


def episodes(fleet: Fleet, relay: Relay, cell: int, mode: str, count: int, seed: int, options: list[str]) -> list[dict]:
    name = fleet.robot_name(cell)
    child = fleet.start(
        f"agent-{name}", "groot-agent",
        "--robot", name, "--task", f"Depalletize the {COLOURS[cell % len(COLOURS)]} box",
        "--gateway", f"127.0.0.1:{relay.port}", "--ros-master", f"http://127.0.0.1:{fleet.master_ports[cell]}",
        "--state-dir", str(fleet.state / f"agent-{name}"), "--mode", mode, "--episodes", str(count), "--seed", str(seed),
        "--no-run-config", "--json", *options, stdout=subprocess.PIPE,
    )  # fmt: skip
    output, _ = child.process.communicate(timeout=90 * count + 120)
    fleet.children.remove(child)
    return [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10, help="per mode and delay")
    parser.add_argument("--robots", type=int, default=2)
    parser.add_argument("--modes", default="async,sync,rtc")
    parser.add_argument("--delays", default="0,50,150,300,400", help="added round trip, ms")
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--threshold", default="0.5", help="--chunk-size-threshold of async and rtc")
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    fleet = Fleet(robots=arguments.robots, state=STATE)
    rows = []
    try:
        gateway = fleet.start_gateway()
        workers = [fleet.start_worker(index) for index in range(fleet.workers)]
        for index in range(arguments.robots):
            fleet.start_simulator(index)
        for index, worker in enumerate(workers):
            fleet.wait_ready(worker, fleet.worker_admins[index])
        fleet.wait_ready(gateway, fleet.gateway_admin)
        relay = Relay(fleet.gateway_port)
        for delay in [int(text) for text in arguments.delays.split(",")]:
            relay.delay, relay.loss = delay / 1000, arguments.loss if delay else 0.0
            for mode in arguments.modes.split(","):
                share = -(-arguments.episodes // arguments.robots)
                options = ["--chunk-size-threshold", arguments.threshold]
                with ThreadPoolExecutor(arguments.robots) as pool:
                    found = list(pool.map(
                        lambda cell: episodes(fleet, relay, cell, mode, share, FIRST_SEED + 1000 * cell, options),
                        range(arguments.robots),
                    ))  # fmt: skip
                done = [episode for group in found for episode in group]
                good = sum(episode["outcome"] in ("success", "refused") for episode in done)
                ticks = sum(episode["ticks"] for episode in done) or 1
                starved = sum(episode["starved_ticks"] for episode in done)
                latency = sorted(episode.get("latency_p50_ms") or 0 for episode in done)
                age = [episode["observation_age_ms"] for episode in done if episode.get("observation_age_ms")]
                seconds = sorted(episode["duration_s"] for episode in done)
                rows.append((delay, mode, good, len(done), starved, ticks, latency, age, seconds))
                say(f"{delay} ms {mode}: {good}/{len(done)}, starved {100 * starved / ticks:.1f} %")
    finally:
        fleet.stop()
    print("\n| added delay ms | mode | success | starved ticks | capture to merge p50 ms | observation age ms | duration s |")
    print("|---|---|---|---|---|---|---|")
    for delay, mode, good, count, starved, ticks, latency, age, seconds in rows:
        middle = latency[len(latency) // 2] if latency else 0
        mean = f"{sum(age) / len(age):.0f}" if age else "-"
        length = seconds[len(seconds) // 2] if seconds else 0
        print(f"| {delay} | {mode} | {good}/{count} | {starved} of {ticks} ({100 * starved / ticks:.1f} %) | "
              f"{middle:.0f} | {mean} | {length:.1f} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
