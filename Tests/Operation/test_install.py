"""docs/operations/install.md, step by step: packages into a throw-away root, its certificates, its configuration, its units.

What systemd would do is done by hand from the installed unit files: the environment file, the command line, readiness and
signs of life over NOTIFY_SOCKET, SIGTERM at the end. Paths are moved into the root, ports to free ones.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import unittest
import urllib.request

import yaml
from common import BINARIES, ROOT, Daemon, eventually, free_ports, scratch
from test_packages import Root, build

PAGE = (ROOT / "docs/operations/install.md").read_text()
PORTS = {"8080": "gateway", "8081": "gateway admin", "8090": "worker", "8091": "worker admin", "8095": "agent admin", "8097": "sim admin",
         "11311": "master"}


class Notifications:
    """The socket that systemd would listen on."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.setblocking(False)
        self.received = []

    def has(self, line):
        try:
            while True:
                self.received += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            pass
        return line in self.received


class InstallTests(unittest.TestCase):
    def setUp(self):
        self.folder = scratch("groot-install-")
        self.addCleanup(self.folder.cleanup)
        self.home = pathlib.Path(self.folder.name)
        self.root = Root(self.home / "root")
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))

    def moved(self, text):
        """The page's paths inside of the root, its ports on this machine."""
        text = re.sub(r"/(etc/groot-fleet|usr/share/groot-fleet|usr/lib/groot-fleet|usr/bin/groot|var/lib/groot)", rf"{self.root.path}/\1", text)
        return re.sub(r"(?<=:)(\d{4,5})\b", lambda port: self.ports.get(port[1], port[1]), text).replace(
            "--master-port 11311", f"--master-port {self.ports['11311']}")

    def blocks(self, heading, language):
        section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
        return re.findall(rf"```{language}\n(.*?)```", section, re.S)

    def shell(self, text):
        run = subprocess.run(["sh", "-e", "-c", self.moved(text)], text=True, capture_output=True,
                             env={**os.environ, "PATH": f"{self.root.path}/usr/bin:{os.environ['PATH']}"})
        self.assertEqual(run.returncode, 0, f"{text}\n{run.stdout}{run.stderr}")

    def start(self, unit, instance=""):
        """What `systemctl start` does with the installed unit."""
        text = (self.root.path / "lib/systemd/system" / unit).read_text()
        environment = {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "3000000"}
        for optional, name in re.findall(r"^EnvironmentFile=(-?)(\S+)$", text, re.M):
            file = pathlib.Path(self.moved(name.replace("%i", instance)))
            if optional and not file.exists():
                continue
            for assignment in shlex.split(self.moved(file.read_text()), comments=True):
                key, value = assignment.split("=", 1)
                environment[key] = value
        command = self.moved(re.search(r"^ExecStart=(.+)$", text, re.M)[1].replace("%S", "/var/lib").replace("%i", instance).replace("%H", "host"))
        words = []
        for word in shlex.split(command):
            words += shlex.split(environment[word[1:]]) if word.startswith("$") else [word]
        notifications = Notifications(self.home / f"{unit.split('.')[0]}.notify")
        environment["NOTIFY_SOCKET"] = notifications.path
        daemon = Daemon(unit.split(".")[0], words, self.home, environment)
        daemon.notifications = notifications
        self.addCleanup(notifications.socket.close)
        self.addCleanup(daemon.stop)
        return daemon

    def get(self, port, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=5) as answer:
            return answer.read().decode()

    def test_the_page(self):
        # 1. Packages.
        self.assertEqual(re.findall(r"groot-(\w+)_\*\.deb", PAGE), ["gateway", "worker", "agent", "sim"])
        build(self.home / "packages", "1.0.0")
        self.root.dpkg("--install", *sorted((self.home / "packages").glob("*.deb")))
        # PostgreSQL runs as a user of its own when the test is root: it has to be let in.
        for directory in (self.root.path, self.root.path / "var", self.root.path / "var/lib"):
            directory.chmod(0o755)
        # A worker from a package finds its library where worker.env says, not in the build tree.
        self.assertTrue((self.root.path / "usr/lib/groot-fleet/libonnxruntime.so").exists())

        # 2. Certificates. The default directory is the page's; --directory moves it into the root.
        for block in self.blocks("2. Certificates", "sh"):
            for line in block.splitlines():
                if line.startswith("groot-gateway certs"):
                    line += " --directory /etc/groot-fleet/authority"
                self.shell(line)
        self.assertEqual((self.root.path / "etc/groot-fleet/tls/robot-r1/key.pem").stat().st_mode & 0o777, 0o600)

        # 3. Flags.
        files = re.findall(r"`(/etc/groot-fleet/\w+\.env)`", PAGE.split("\n## 3. Flags")[1].split("\n## ")[0])
        for file, text in zip(files, self.blocks("3. Flags", "ini"), strict=True):
            (self.root.path / file.lstrip("/")).write_text(text)

        # 4. Start, in the page's order.
        started = re.findall(r"systemctl (?:enable --now|start) groot-(\w+)(?:@(\w+))?", self.blocks("4. Start", "sh")[0])
        self.assertEqual([role for role, _ in started], ["gateway", "worker", "sim", "agent"])
        # systemd gives each unit its state directory; here all run as one account, agents without the rights of root.
        for state in (self.root.path / "var/lib").glob("groot-*"):
            shutil.chown(state, os.getuid())
            state.chmod(0o755)
        daemons = {}
        for role, instance in started:
            daemons[role] = self.start(f"groot-{role}@.service" if instance else f"groot-{role}.service", instance)
            if role == "worker":
                for one in ("gateway", "worker"):
                    eventually(f"{one} says READY", lambda: daemons[one].notifications.has("READY=1"), 120)
                eventually("ready over TLS", lambda: self.get("8081", "/readyz"), 120)
        eventually("the robot moves", lambda: daemons["agent"].notifications.has("READY=1"), 120, daemons["agent"].tail)
        for role in ("gateway", "worker", "agent"):
            eventually(f"a sign of life of the {role}", lambda: daemons[role].notifications.has("WATCHDOG=1"), 30)

        # 5. Look: the robot is in its episode, chunks arrive through the gateway, over TLS both ways.
        def robot():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['8081']}/dashboard/live", timeout=10) as stream:
                while not (line := stream.readline().decode()).startswith("data:"):
                    pass
            return '"robot": "r1"' in line and re.search(r'"requests": [1-9]', line)

        eventually("the robot on the dashboard", robot, 120, daemons["agent"].tail)

        # And it gets somewhere: a whole episode, in the database.
        def finished():
            return [one for one in json.loads(self.get("8081", "/dashboard/episodes?robot=r1"))["episodes"] if one["outcome"] == "success"]

        eventually("an episode that succeeded", finished, 180, daemons["agent"].tail)
        self.metrics()
        self.assertNotIn("plaintext", daemons["gateway"].text())

        # Stopping is draining.
        self.assertEqual(daemons["agent"].stop(60), 0, daemons["agent"].tail())
        self.assertEqual(daemons["worker"].stop(), 0, daemons["worker"].tail())
        self.assertEqual(daemons["gateway"].stop(60), 0, daemons["gateway"].tail())
        self.assertTrue(daemons["gateway"].notifications.has("STOPPING=1"))

    def metrics(self):
        """What the alert rules and the Grafana dashboard ask for is exported by this fleet: names, labels, their values."""
        exported = {}
        for port in ("8081", "8091", "8095", "8097"):
            text = self.get(port, "/metrics")
            for name in re.findall(r"^# TYPE (\w+) ", text, re.M):
                exported.setdefault(name, {})
            for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
                family = exported.get(name) if name in exported else exported.get(re.sub(r"_(bucket|count|sum)$", "", name))
                for label, value in re.findall(r'(\w+)="((?:[^"\\\\]|\\\\.)*)"', labels):
                    family.setdefault(label, set()).add(value)
        # What Prometheus adds to every series.
        target = {"job", "instance", "le"}
        for where, expression in expressions():
            names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bgroot_\w+", expression)}
            grouped = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}
            for name in names:
                with self.subTest(where=where, metric=name):
                    self.assertIn(name, exported)
                    self.assertEqual(grouped - target - set(exported[name]), set(), f"labels of {name}")
            for name, matchers in re.findall(r"\b(groot_\w+)\{([^}]*)\}", expression):
                for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                    with self.subTest(where=where, metric=name, label=label):
                        self.assertEqual(set(values.split("|")) - exported[name].get(label, set()), set())


def expressions():
    """Every PromQL expression that we ship, with its place."""
    for group in yaml.safe_load((ROOT / "deploy/prometheus/groot-fleet.rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((ROOT / "deploy/grafana/groot-fleet.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


if __name__ == "__main__":
    unittest.main()
