"""A Debian machine that boots its own systemd: systemd-nspawn on an overlay of the root that `make setup` made.

Its network is its own loopback. What happens in it leaves no trace in the root below.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

from common import CONFIGURATION, ROOT, eventually

BASE = ROOT / ".state/debian-root"
# A debug build finds Swift's libraries where the toolchain has them; packages of a release build have them inside.
TOOLCHAIN = pathlib.Path(shutil.which("swift") or "/usr/bin/swift").resolve().parents[1] / "lib/swift/linux"


def missing():
    """Why no machine can be booted here; empty when one can."""
    if os.geteuid() != 0:
        return "booting a machine needs root"
    if not shutil.which("systemd-nspawn"):
        return "systemd-nspawn is not installed (make setup)"
    if not (BASE / "usr/lib/systemd/systemd").exists():
        return f"{BASE} is missing (make setup, as root)"
    return ""


class Machine:
    """Boots at once; `close` throws everything away."""

    def __init__(self, shared):
        """`shared`: a folder that the machine sees as /shared."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="groot-machine-"))
        self.root = self.folder / "root"
        for name in ("root", "upper", "work"):
            (self.folder / name).mkdir()
        layers = f"lowerdir={BASE},upperdir={self.folder}/upper,workdir={self.folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        self.console = (self.folder / "console").open("wb")
        self.command = ["systemd-nspawn", "-D", self.root, "--register=no", "--keep-unit", "--boot", "--private-network", "--console=pipe",
                   f"--bind={shared}:/shared"]
        if CONFIGURATION == "debug":
            self.command.append(f"--bind-ro={TOOLCHAIN}:{TOOLCHAIN}")
        self.boot()

    def boot(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)

        def booted():
            return self.leader() and self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

        eventually("the machine boots", booted, 60)

    def leader(self):
        """Its process 1, as the host sees it."""
        ours = os.readlink("/proc/self/ns/pid")
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            # On the way there nspawn has children that are still on the host: nothing may be run in those.
            if os.readlink(f"/proc/{child}/ns/pid") != ours:
                return child
        return None

    def run(self, *command, check=True, seconds=180):
        leader = self.leader()
        if not leader:
            raise AssertionError(f"the machine is down: {' '.join(map(str, command))}")
        run = subprocess.run(
            ["nsenter", "-t", leader, "-a", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
             "DEBIAN_FRONTEND=noninteractive", *map(str, command)],
            text=True, errors="replace", capture_output=True, timeout=seconds,
        )
        if check and run.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: {run.returncode}\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
        return run

    def shell(self, text, **more):
        return self.run("sh", "-e", "-c", text, **more).stdout

    def write(self, path, text):
        (self.root / path.lstrip("/")).write_text(text)

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, unit, lines=30):
        return self.run("journalctl", "-u", unit, "-o", "cat", "--no-pager", "-n", lines, check=False).stdout

    def reboot(self):
        self.run("systemctl", "reboot", check=False)
        # Its own way to say that whoever started it should start it again.
        code = self.process.wait(60)
        if code != 133:
            raise AssertionError(f"the machine ended with {code} instead of rebooting")
        self.boot()

    def close(self):
        if self.process.poll() is None:
            # Its systemd is asked to power off.
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.console.close()
        subprocess.run(["umount", "--lazy", self.root], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
