"""`make bench-images`: what image encodings cost and save. Records one simulated episode with large cameras, then asks the
policy for every observation in each encoding, with the same noise, and compares the answers with those to raw images.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys

from demo import say
from fleet import ROOT, Fleet

STATE = ROOT / ".state" / "bench-images"
TASK = "Depalletize the green box"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encodings", default="raw,jpeg:95,jpeg:90,jpeg:75,jpeg:50")
    parser.add_argument("--camera-size", default="640x480")
    parser.add_argument("--every", type=float, default=0.2, help="recorded seconds between two observations")
    parser.add_argument("--seed", type=int, default=700_000)
    parser.add_argument("--binaries", type=pathlib.Path, help="default: the release build")
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    fleet = Fleet(robots=1, workers=1, state=STATE)
    fleet.binaries = arguments.binaries or fleet.binaries
    try:
        gateway, worker = fleet.start_gateway(), fleet.start_worker(0)
        name = fleet.robot_name(0)
        fleet.start(f"sim-{name}", "groot-sim", "--robot", name, "--master-port", str(fleet.master_ports[0]),
                    "--camera-size", arguments.camera_size)  # fmt: skip
        fleet.wait_ready(worker, fleet.worker_admins[0])
        fleet.wait_ready(gateway, fleet.gateway_admin)
        say(f"recording one episode with cameras of {arguments.camera_size}")
        tapes = STATE / "tapes"
        agent = fleet.start_agent(0, TASK, "--record", str(tapes), "--seed", str(arguments.seed), "--no-run-config",
                                  "--thumbnail-interval", "0")  # fmt: skip
        agent.process.wait(300)
        tape = next(iter(tapes.glob("*.mcap")), None) if tapes.exists() else None
        if tape is None:
            print(f"nothing was recorded; {agent.log}:\n{agent.last_lines()}", file=sys.stderr)
            return 1
        say(f"{tape.stat().st_size / 1e6:.0f} MB; asking the policy in each encoding")
        command = [
            str(fleet.binaries / "groot-agent"), "replay", str(tape), "--robot", name, "--task", TASK,
            "--gateway", f"127.0.0.1:{fleet.gateway_port}", "--every", str(arguments.every),
            "--encodings", arguments.encodings, "--request-timeout", "20s",
        ]  # fmt: skip
        return subprocess.run(command).returncode
    finally:
        fleet.stop()


if __name__ == "__main__":
    sys.exit(main())
