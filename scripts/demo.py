"""`make demo`: every robot takes one box off its pallet, through the whole system, and SQL says how it went."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import time

from fleet import ROOT, Child, Fleet, FleetError

COLOURS = ("green", "red", "blue", "yellow")
STATE = ROOT / ".state" / "demo"
PIDS = STATE / "pids.json"
EPISODE_TIMEOUT = 120

QUERY = """
SELECT robot, task, outcome, duration_s, chunks, starved_ticks, latency_p50_ms, latency_p99_ms, worker_share
FROM episode_metrics
WHERE started_at >= to_timestamp({since})
ORDER BY robot, started_at
""".strip()


def say(text: str) -> None:
    print(f"\033[1m==>\033[0m {text}", flush=True)


def status_of(child: Child) -> str:
    """The newest line of an agent's log, in its own words."""
    for line in reversed(child.log.read_text(errors="replace").splitlines()):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        details = " ".join(
            f"{key}={value}"
            for key, value in record.items()
            if key not in ("time", "level", "label", "message", "robot", "episode")
        )
        return f"{record['message']}  {details}"[:150]
    return "starting"


def follow(agents: list[Child]) -> None:
    """One status line per robot every two seconds, until all agents have ended."""
    deadline = time.monotonic() + EPISODE_TIMEOUT
    while not all(agent.ended() for agent in agents):
        if time.monotonic() > deadline:
            raise FleetError(f"the episodes did not end within {EPISODE_TIMEOUT} s; logs in {agents[0].log.parent}")
        time.sleep(2)
        for agent in agents:
            print(f"    {agent.name.removeprefix('agent-'):4s} {status_of(agent)}", flush=True)


class CellCost:
    """Processor time of the simulated cells while robots move: physics and rendering, and the whole process."""

    def __init__(self, simulators: list[Child]) -> None:
        self.simulators = simulators
        self.began = time.monotonic()
        self.start = self.seconds()

    def seconds(self) -> tuple[float, float]:
        """Nanosecond clocks of the kernel's scheduler, summed: named threads, all threads."""
        work = whole = 0.0
        for simulator in self.simulators:
            for task in pathlib.Path(f"/proc/{simulator.process.pid}/task").glob("*"):
                with contextlib.suppress(OSError):
                    seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
                    whole += seconds
                    if (task / "comm").read_text().strip() in ("physics", "cameras"):
                        work += seconds
        return work, whole

    def summary(self) -> str:
        share = (time.monotonic() - self.began) * len(self.simulators)
        work, whole = (now - then for now, then in zip(self.seconds(), self.start))
        return (f"a simulated cell took {work / share:.3f} of a processor core for physics and rendering, "
                f"{whole / share:.3f} with ROS")  # fmt: skip


def check(fleet: Fleet, agents: list[Child], since: float, robots: int) -> list[str]:
    """What did not happen; empty when everything did."""
    problems = [
        f"{agent.name} ended with code {agent.process.returncode}; see {agent.log}"
        for agent in agents
        if agent.process.returncode != 0
    ]
    rows = fleet.psql(
        "-At", "-F", "|", "-c",
        f"SELECT robot, outcome, chunks FROM episode_metrics WHERE started_at >= to_timestamp({since})",
    ).splitlines()  # fmt: skip
    if len(rows) != robots:
        problems.append(f"{len(rows)} episodes in the database, expected {robots}")
    for row in rows:
        robot, outcome, chunks = row.split("|")
        if outcome != "success":
            problems.append(f"{robot}: the outcome was {outcome or 'never recorded'}")
        if int(chunks or 0) == 0:
            problems.append(f"{robot}: no chunk was recorded")
    for child in fleet.children:
        if child not in agents and child.ended():
            problems.append(f"{child.name} ended early with code {child.process.returncode}; see {child.log}")
    return problems


def run(robots: int, keep: bool) -> int:
    if PIDS.exists():
        print("demo: a fleet is still running from KEEP=1; stop it first: make demo-stop", file=sys.stderr)
        return 1
    shutil.rmtree(STATE / "logs", ignore_errors=True)
    for old in STATE.glob("agent-*"):
        shutil.rmtree(old)
    fleet = Fleet(robots=robots, state=STATE)
    kept = False
    try:
        say(f"gateway with PostgreSQL, {fleet.workers} workers, {robots} simulated robot cells")
        gateway = fleet.start_gateway()
        workers = [fleet.start_worker(index) for index in range(fleet.workers)]
        simulators = [fleet.start_simulator(index) for index in range(robots)]
        for index, worker in enumerate(workers):
            fleet.wait_ready(worker, fleet.worker_admins[index])
            print(f"    {worker.name} serves {fleet.checkpoint.name}", flush=True)
        fleet.wait_ready(gateway, fleet.gateway_admin)
        print(f"    gateway on 127.0.0.1:{fleet.gateway_port}, database ready", flush=True)
        print(f"    {len(simulators)} cells started", flush=True)

        since = time.time() - 1
        cost = CellCost(simulators)
        say("one episode per robot")
        agents = []
        for index in range(robots):
            task = f"Depalletize the {COLOURS[index % len(COLOURS)]} box"
            agents.append(fleet.start_agent(index, task, "--episodes", "1", "--seed", str(1000 + index)))
            print(f'    {fleet.robot_name(index):4s} "{task}"', flush=True)
        follow(agents)
        say(cost.summary())

        say("episode metrics, as PostgreSQL has them")
        query = QUERY.format(since=f"{since:.0f}")
        print(query + ";\n")
        print(fleet.psql("-c", query), flush=True)
        problems = check(fleet, agents, since, robots)
        for problem in problems:
            print(f"demo: {problem}", file=sys.stderr)
        if keep and not problems:
            kept = True
            explain(fleet)
        return 1 if problems else 0
    except FleetError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            fleet.stop()
            left = [child.name for child in fleet.children if group_exists(child.process.pid)]
            if left:
                print(f"demo: still running: {', '.join(left)}", file=sys.stderr)


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def explain(fleet: Fleet) -> None:
    running = [child for child in fleet.children if not child.ended()]
    PIDS.write_text(json.dumps([child.process.pid for child in running]))
    say("left running")
    print(
        f"""    metrics      curl http://127.0.0.1:{fleet.gateway_admin}/metrics
    database     {fleet.gateway_state}/psql
    one robot    ROS_MASTER_URI=http://127.0.0.1:{fleet.master_ports[0]} rostopic echo /groot_sim/outcome
    again        .build/release/groot-agent --robot r1 --task "Depalletize the red box" \\
                     --gateway 127.0.0.1:{fleet.gateway_port} --ros-master http://127.0.0.1:{fleet.master_ports[0]}
    logs         {fleet.logs}
    stop         make demo-stop"""
    )


def stop() -> int:
    if not PIDS.exists():
        print("demo: nothing is running")
        return 0
    groups = json.loads(PIDS.read_text())
    for group in reversed(groups):
        try:
            os.killpg(group, signal.SIGTERM)
        except ProcessLookupError:
            continue
        deadline = time.monotonic() + 20
        while group_exists(group) and time.monotonic() < deadline:
            time.sleep(0.1)
        if group_exists(group):
            os.killpg(group, signal.SIGKILL)
    PIDS.unlink()
    print("demo: stopped")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robots", type=int, default=2, help="simulated robots, 1 to 16")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--stop", action="store_true", help="stop what --keep left running")
    arguments = parser.parse_args()
    if arguments.stop:
        return stop()
    if not 1 <= arguments.robots <= 16:
        parser.error("--robots must be between 1 and 16")
    STATE.mkdir(parents=True, exist_ok=True)
    return run(arguments.robots, arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
