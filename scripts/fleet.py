"""Starts and stops the processes of one fleet on this machine; used by demo.py and evaluate.py.

Nothing here decides anything about robots: it picks free loopback ports, starts the built executables in the
order in which they need each other, waits until each says it is ready, and stops them in the opposite order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent


class FleetError(Exception):
    """Something did not start, did not answer, or ended by itself; the text says where its log is."""


def free_port(preferred: int) -> int:
    """The preferred loopback port if nobody listens there, else any free one."""
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise FleetError("no free TCP port on the loopback interface")


def database_home(wanted: pathlib.Path) -> pathlib.Path:
    """The wanted directory, or one under /var/tmp when root's PostgreSQL user could not enter it (below /root, say)."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in wanted.resolve().parents if parent.exists()):
        return wanted
    digest = hashlib.sha256(str(wanted.resolve()).encode()).hexdigest()[:12]
    return pathlib.Path("/var/tmp") / f"groot-fleet-{digest}"


@dataclass
class Child:
    """One process with its log file; its whole process group is stopped together."""

    name: str
    process: subprocess.Popen
    log: pathlib.Path

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self, budget: float) -> None:
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(budget)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


@dataclass
class Fleet:
    """Gateway with its embedded PostgreSQL, workers, and simulated robot cells."""

    robots: int
    state: pathlib.Path
    workers: int = 2
    configuration: str = "release"
    checkpoint: pathlib.Path = ROOT / "policies" / "groot-mini"
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Whoever owns a fleet stops it in a `finally`; a terminated script gets there, too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.binaries = ROOT / ".build" / self.configuration
        self.logs = self.state / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.gateway_state = database_home(self.state / "gateway")
        self.gateway_port = free_port(8080)
        self.gateway_admin = free_port(8081)
        self.worker_ports = [free_port(8090 + 10 * i) for i in range(self.workers)]
        self.worker_admins = [free_port(8091 + 10 * i) for i in range(self.workers)]
        self.master_ports = [free_port(11311 + i) for i in range(self.robots)]

    def robot_name(self, index: int) -> str:
        return f"r{index + 1}"

    def start(self, name: str, *command: str, stdout=None, wrapper: list[str] | None = None) -> Child:
        """Starts a built executable; `wrapper` is a command to start it with, a network namespace say."""
        log = self.logs / f"{name}.log"
        environment = dict(os.environ, GROOT_ONNXRUNTIME=str(ROOT / ".state/onnxruntime/libonnxruntime.so"))
        environment.pop("ROS_MASTER_URI", None)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*(wrapper or []), str(self.binaries / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=stdout or output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def start_gateway(self) -> Child:
        return self.start(
            "gateway",
            "groot-gateway",
            "--workers", ",".join(f"127.0.0.1:{port}" for port in self.worker_ports),
            "--listen", f"127.0.0.1:{self.gateway_port}",
            "--admin", f"127.0.0.1:{self.gateway_admin}",
            "--state-dir", str(self.gateway_state),
        )  # fmt: skip

    def start_worker(self, index: int) -> Child:
        return self.start(
            f"w{index + 1}",
            "groot-worker",
            "--name", f"w{index + 1}",
            "--checkpoint", str(self.checkpoint),
            "--listen", f"127.0.0.1:{self.worker_ports[index]}",
            "--admin", f"127.0.0.1:{self.worker_admins[index]}",
        )  # fmt: skip

    def start_simulator(self, index: int) -> Child:
        name = self.robot_name(index)
        return self.start(
            f"sim-{name}",
            "groot-sim",
            "--robot", name,
            "--master-port", str(self.master_ports[index]),
        )  # fmt: skip

    def start_agent(self, index: int, task: str, *options: str, stdout=None) -> Child:
        name = self.robot_name(index)
        return self.start(
            f"agent-{name}",
            "groot-agent",
            "--robot", name,
            "--task", task,
            "--gateway", f"127.0.0.1:{self.gateway_port}",
            "--ros-master", f"http://127.0.0.1:{self.master_ports[index]}",
            "--state-dir", str(self.state / f"agent-{name}"),
            *options,
            stdout=stdout,
        )  # fmt: skip

    def wait_ready(self, child: Child, admin_port: int, seconds: float = 60) -> None:
        """Polls `/readyz` until it answers 200, the gateway's `/readyz/store` too; ends early when the process did."""
        paths = ["readyz", "readyz/store"] if admin_port == self.gateway_admin else ["readyz"]
        deadline = time.monotonic() + seconds
        reason = "no answer yet"
        while time.monotonic() < deadline:
            if child.ended():
                raise FleetError(f"{child.name} ended with code {child.process.returncode}; {child.log}:\n{child.last_lines()}")
            try:
                for path in paths:
                    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/{path}", timeout=1):
                        pass
                return
            except urllib.error.HTTPError as answer:
                reason = answer.read().decode(errors="replace").strip()
            except OSError as error:
                reason = str(error)
            time.sleep(0.1)
        raise FleetError(f"{child.name} is not ready after {seconds:.0f} s ({reason}); {child.log}:\n{child.last_lines()}")

    def stop(self) -> None:
        """Agents first, so that no robot is left waiting; the gateway with its database last."""
        for child in reversed(self.children):
            child.stop(budget=20)

    def psql(self, *arguments: str) -> str:
        """Output of psql on the gateway's own database, through the command that the gateway leaves behind."""
        command = [str(self.gateway_state / "psql"), "-X", "-v", "ON_ERROR_STOP=1", *arguments]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
