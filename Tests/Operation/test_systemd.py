"""The packages on a machine that really boots systemd: install page, sandbox, kill, watchdog, late address, reboot, upgrade, purge.

One machine, step after step in the order of their numbers: each begins where the one before it ended.
"""

import json
import os
import pathlib
import re
import unittest

from common import ROOT, eventually, scratch
from machine import Machine, missing
from test_packages import ROLES, build

PAGE = (ROOT / "docs/operations/install.md").read_text()
PROBLEM = missing()
if PROBLEM and os.environ.get("CI") == "true":
    raise AssertionError(PROBLEM)

UNITS = {"gateway": "groot-gateway.service", "worker": "groot-worker@0.service", "sim": "groot-sim@r1.service", "agent": "groot-agent@r1.service"}


def blocks(heading, language):
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)


@unittest.skipIf(PROBLEM, PROBLEM)
class SystemdTests(unittest.TestCase):
    broken = ""

    def run(self, result=None):
        """Steps after one that failed say nothing."""
        if self.broken:
            result.addSkip(self, f"after {self.broken}")
            return
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).broken = self.id().rpartition(".")[2]

    @classmethod
    def setUpClass(cls):
        cls.folder = scratch("groot-systemd-")
        cls.shared = pathlib.Path(cls.folder.name)
        build(cls.shared / "old", "1.0.0")
        build(cls.shared / "new", "1.1.0")
        cls.machine = Machine(cls.shared)

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()
        cls.folder.cleanup()

    def ready(self):
        return self.machine.run("curl", "-fsS", "-m", "5", "http://127.0.0.1:8081/readyz", check=False).stdout.startswith("ready")

    def until_ready(self, seconds=60):
        try:
            eventually("the gateway is ready", self.ready, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.journal(UNITS['gateway'])}\n{self.machine.journal(UNITS['worker'])}") from None

    def pid(self, role):
        return self.machine.show(UNITS[role], "MainPID")

    def restarted(self, role, before, seconds=60):
        unit = UNITS[role]

        def back():
            return self.machine.show(unit, "ActiveState") == "active" and self.pid(role) not in ("0", before)

        eventually(f"{unit} is back", back, seconds)

    def test_1_the_install_page_leads_to_an_episode(self):
        for block in blocks("1. Packages", "sh"):
            # As the page says it, in the folder with the packages; without network, as apt finds all that they need.
            self.machine.shell("cd /shared/old\n" + re.sub(r"^apt install", "apt-get install -y", block, flags=re.M), seconds=300)
        self.assertEqual(self.machine.show(UNITS["gateway"], "ActiveState"), "inactive", "nothing starts yet")
        for block in blocks("2. Certificates", "sh"):
            self.machine.shell(block)
        self.machine.run("systemd-tmpfiles", "--create")
        files = re.findall(r"`(/etc/groot-fleet/\w+\.env)`", PAGE.split("\n## 3. Flags")[1].split("\n## ")[0])
        for file, text in zip(files, blocks("3. Flags", "ini"), strict=True):
            self.machine.write(file, text)
        for line in blocks("4. Start", "sh")[0].splitlines():
            try:
                self.machine.shell(line, seconds=240)
            except AssertionError as error:
                unit = re.search(r"groot-\S+", line)[0]
                raise AssertionError(f"{error}\n{self.machine.journal(unit)}") from None
        self.until_ready()

        def finished():
            answer = self.machine.run("curl", "-fsS", "http://127.0.0.1:8081/dashboard/episodes?robot=r1").stdout
            return [one for one in json.loads(answer)["episodes"] if one["outcome"] == "success"]

        try:
            eventually("an episode that succeeded", finished, 240)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.journal(UNITS['agent'])}") from None

    def test_2_each_role_runs_unprivileged_in_its_sandbox(self):
        for role, unit in UNITS.items():
            with self.subTest(unit=unit):
                status = dict(re.findall(r"^(\w+):\s+(.*)$", self.machine.run("cat", f"/proc/{self.pid(role)}/status").stdout, re.M))
                account = self.machine.run("id", "-u", f"groot-{role}").stdout.strip()
                self.assertEqual(status["Uid"].split(), [account] * 4)
                self.assertNotEqual(account, "0")
                self.assertEqual((int(status["CapEff"], 16), int(status["CapBnd"], 16)), (0, 0), "capabilities")
                self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        # The robot is at rest and handed back before anything else is tried.
        self.machine.run("systemctl", "stop", UNITS["agent"])
        self.assertEqual(self.machine.show(UNITS["agent"], "Result"), "success", self.machine.journal(UNITS["agent"]))

    def test_3_killed_it_comes_back(self):
        for role in ("gateway", "worker", "sim"):
            before = self.pid(role)
            count = int(self.machine.show(UNITS[role], "NRestarts"))
            self.machine.run("kill", "-9", before)
            self.restarted(role, before)
            self.assertEqual(int(self.machine.show(UNITS[role], "NRestarts")), count + 1)
        self.until_ready()

    def test_4_hanging_it_is_ended_by_the_watchdog(self):
        before = self.pid("gateway")
        self.machine.run("kill", "-STOP", before)
        self.restarted("gateway", before, 90)
        self.assertIn("watchdog", self.machine.run("journalctl", "-u", UNITS["gateway"], "--no-pager", "-n", "200").stdout.lower())
        self.until_ready()

    def test_5_an_address_that_comes_late(self):
        path = self.machine.root / "etc/groot-fleet/gateway.env"
        page = path.read_text()
        self.addCleanup(path.write_text, page)
        path.write_text(page.replace("--listen 127.0.0.1:8080", "--listen 10.99.0.1:8080"))
        # Faster than a person waits, so that more tries fail than any start limit of systemd's would allow.
        drop_in = "/etc/systemd/system/groot-gateway.service.d"
        self.machine.shell(f"mkdir -p {drop_in}; printf '[Service]\\nRestartSec=100ms\\n' >{drop_in}/fast.conf; systemctl daemon-reload")
        self.machine.run("systemctl", "restart", "--no-block", UNITS["gateway"])
        try:
            eventually("a dozen starts fail", lambda: int(self.machine.show(UNITS["gateway"], "NRestarts")) >= 12, 120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.journal(UNITS['gateway'])}") from None
        self.assertIn("status=75/", self.machine.run("journalctl", "-u", UNITS["gateway"], "--no-pager", "-n", "40").stdout)
        self.machine.shell("ip address add 10.99.0.1/32 dev lo")
        eventually("it listens", lambda: self.machine.show(UNITS["gateway"], "ActiveState") == "active", 60)
        self.until_ready()
        path.write_text(page)
        self.machine.shell(f"rm -r {drop_in}; systemctl daemon-reload; systemctl restart {UNITS['gateway']}")
        self.until_ready()

    def test_6_a_clean_stop_logs_no_error(self):
        for role in ("gateway", "worker", "sim"):
            unit = UNITS[role]
            start = self.machine.run("journalctl", "--show-cursor", "-n", "0", "--no-pager").stdout.split("cursor: ")[1].strip()
            self.machine.run("systemctl", "stop", unit)
            said = self.machine.run("journalctl", "-u", unit, "-o", "cat", f"--after-cursor={start}", "--no-pager").stdout
            with self.subTest(unit=unit):
                self.assertEqual(self.machine.show(unit, "Result"), "success", said)
                self.assertEqual(self.machine.show(unit, "ExecMainStatus"), "0", said)
                self.assertIsNone(re.search(r'"level":"(warning|error|critical)"', said), said)
            self.machine.run("systemctl", "start", unit)
        self.until_ready()

    def test_7_after_a_reboot_what_was_enabled_is_there(self):
        self.machine.reboot()
        self.until_ready(90)
        self.assertEqual(self.machine.show(UNITS["agent"], "ActiveState"), "inactive", "a robot waits for a person")

    def test_8_an_upgrade_restarts_what_may_be_restarted(self):
        before = {role: self.pid(role) for role in ("gateway", "worker")}
        self.machine.shell("cd /shared/new; apt-get install -y ./groot-*.deb", seconds=300)
        for role, pid in before.items():
            self.restarted(role, pid)
            self.assertEqual(self.machine.run("dpkg-query", "-W", "-f", "${Version}", f"groot-{role}").stdout, "1.1.0")
        self.until_ready()
        self.assertIn("--tls-certificate", (self.machine.root / "etc/groot-fleet/gateway.env").read_text(), "configuration stays")

    def test_9_purge_leaves_nothing_but_keys(self):
        self.machine.shell("apt-get purge -y groot-gateway groot-worker groot-agent groot-sim", seconds=300)
        left = self.machine.shell("systemctl list-units --all --plain --no-legend 'groot-*'; ls -d /var/lib/groot-* /usr/bin/groot-* 2>/dev/null || true")
        self.assertEqual(left.strip(), "")
        self.assertEqual(self.machine.shell("pgrep '^groot-' || true").strip(), "", "no process is left")
        self.assertTrue((self.machine.root / "etc/groot-fleet/authority/authority.key").exists(), "keys are nobody's to delete")


if __name__ == "__main__":
    unittest.main()
