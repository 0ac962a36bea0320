"""`make compare`: the same simulated scenes in each mode, through gateway and workers, and the table of what came of it."""

from __future__ import annotations

import argparse
import shutil
import sys

from demo import say
from fleet import ROOT, Fleet

STATE = ROOT / ".state" / "compare"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10, help="per mode")
    parser.add_argument("--modes", default="sync,async,rtc")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", default="Depalletize the green box")
    parser.add_argument("options", nargs="*", help="flags of groot-agent, after --")
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    fleet = Fleet(robots=1, state=STATE)
    try:
        gateway = fleet.start_gateway()
        workers = [fleet.start_worker(index) for index in range(fleet.workers)]
        fleet.start_simulator(0)
        for index, worker in enumerate(workers):
            fleet.wait_ready(worker, fleet.worker_admins[index])
        fleet.wait_ready(gateway, fleet.gateway_admin)
        say(f"{arguments.episodes} episodes in each of {arguments.modes}, from seed {arguments.seed}")
        name = fleet.robot_name(0)
        table = STATE / "table.md"
        with table.open("wb") as output:
            child = fleet.start(
                f"agent-{name}", "groot-agent", "compare",
                "--robot", name, "--task", arguments.task, "--modes", arguments.modes,
                "--episodes", str(arguments.episodes), "--seed", str(arguments.seed),
                "--gateway", f"127.0.0.1:{fleet.gateway_port}",
                "--ros-master", f"http://127.0.0.1:{fleet.master_ports[0]}",
                "--state-dir", str(fleet.state / f"agent-{name}"), "--no-run-config", *arguments.options,
                stdout=output,
            )  # fmt: skip
            code = child.process.wait(120 * arguments.episodes * len(arguments.modes.split(",")) + 60)
        print(table.read_text())
        if code != 0:
            print(f"compare ended with code {code}; {child.log}:\n{child.last_lines()}", file=sys.stderr)
        return code
    finally:
        fleet.stop()


if __name__ == "__main__":
    sys.exit(main())
