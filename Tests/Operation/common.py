"""What the operation tests share: where things are, and polling with a limit."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
CONFIGURATION = os.environ.get("GROOT_CONFIGURATION", "debug")
BINARIES = ROOT / ".build" / CONFIGURATION
ONNXRUNTIME = ROOT / ".state/onnxruntime/libonnxruntime.so"


def eventually(what, condition, seconds=30.0, tell=None):
    """The first true answer of `condition`; fails with the last error or answer, and what `tell` tells, when none comes in time."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (OSError, AssertionError, ValueError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}; last: {last!r}" + (f"\n{tell()}" if tell else ""))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def scratch(prefix):
    """A directory that PostgreSQL's own user can enter, too."""
    folder = tempfile.TemporaryDirectory(prefix=prefix)
    os.chmod(folder.name, 0o755)
    return folder


def unprivileged(command):
    """Agents and simulators without the capabilities of root, as their units run them: `setpriv` becomes the program."""
    if pathlib.Path(command[0]).name not in ("groot-agent", "groot-sim") or os.getuid() != 0:
        return command
    return ["setpriv", "--inh-caps", "-all", "--bounding-set", "-all,+sys_nice,+ipc_lock", "--", *command]


class Daemon:
    """A process of ours with its log; killed at the end, whatever happens."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                unprivileged([str(part) for part in command]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "GROOT_ONNXRUNTIME": str(ONNXRUNTIME), **(environment or {})},
            )

    def text(self):
        return self.log.read_text(errors="replace")

    def tail(self, lines=12):
        return "\n".join(self.text().splitlines()[-lines:])

    def stop(self, seconds=30):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode
