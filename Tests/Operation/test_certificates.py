"""Who may connect: gateway, worker and robots with real certificates, in real processes.

The other side is Python's ssl, which is OpenSSL, so that no code of ours judges its own TLS.
"""

import json
import pathlib
import socket
import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

from common import BINARIES, ROOT, Daemon, eventually, free_ports, scratch

GATEWAY = BINARIES / "groot-gateway"


def certs(folder, *arguments, check=True):
    run = subprocess.run(
        [GATEWAY, "certs", *map(str, arguments), "--directory", folder / "authority"], text=True, capture_output=True
    )
    if check and run.returncode:
        raise AssertionError(f"certs {arguments}: {run.stderr}")
    return run


def tls(folder, machine):
    home = folder / "authority/machines" / machine
    return ["--tls-certificate", home / "certificate.pem", "--tls-key", home / "key.pem", "--tls-authority", home / "authority.pem",
            "--tls-revoked", folder / "authority/revoked.txt"]


class Fleet:
    """One gateway and one worker over TLS."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port, self.admin, self.worker_port, self.worker_admin, self.spare_port = free_ports(5)
        certs(self.folder, "init")
        certs(self.folder, "issue", "gateway", "g1", "--ip", "127.0.0.1")
        certs(self.folder, "issue", "worker", "w1", "--ip", "127.0.0.1")
        self.gateway = Daemon("gateway", [
            GATEWAY, "--workers", f"127.0.0.1:{self.worker_port},127.0.0.1:{self.spare_port}", "--listen", f"127.0.0.1:{self.port}",
            "--admin", f"127.0.0.1:{self.admin}", "--state-dir", self.folder / "gateway",
            "--worker-tls-authority", self.folder / "authority/authority.pem", *tls(self.folder, "gateway-g1"),
        ], folder)
        self.worker = self.start_worker("w1", "worker-w1", self.worker_port, f"127.0.0.1:{self.worker_admin}")

    def start_worker(self, name, machine, port, admin="off"):
        return Daemon(f"worker-{name}", [
            BINARIES / "groot-worker", "--name", name, "--checkpoint", ROOT / "policies/groot-mini",
            "--listen", f"127.0.0.1:{port}", "--admin", admin, "--tls-reload", "1", *tls(self.folder, machine),
        ], self.folder)

    def get(self, path, port=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()

    def order(self, path, machine=None):
        """The status and the text of an order with this certificate; `curl` as the operators' page says it."""
        home = self.folder / "authority/machines" / (machine or "")
        run = subprocess.run(
            ["curl", "--silent", "--show-error", "--http2", "--request", "POST", "--cacert", self.folder / "authority/authority.pem",
             *(["--cert", home / "certificate.pem", "--key", home / "key.pem"] if machine else []),
             "--write-out", "%{http_code}", f"https://127.0.0.1:{self.port}{path}"],
            text=True, capture_output=True, timeout=20,
        )
        return run.stdout[-3:], run.stdout[:-3] + run.stderr

    def state(self, port):
        [worker] = [one for one in json.loads(self.get("/state"))["workers"] if one["address"].endswith(f":{port}")]
        return worker

    def ready(self):
        eventually("gateway and worker over TLS", lambda: self.get("/readyz"), 120)

    def connect(self, machine, port=None):
        """Whether the peer speaks HTTP/2 with this certificate, and what was said otherwise.

        With TLS 1.3 a client learns of its refusal with the first bytes that it reads after the handshake.
        """
        context = ssl.create_default_context(cafile=self.folder / "authority/authority.pem")
        context.set_alpn_protocols(["h2"])
        if machine:
            home = self.folder / "authority/machines" / machine
            context.load_cert_chain(home / "certificate.pem", home / "key.pem")
        try:
            with socket.create_connection(("127.0.0.1", port or self.port), 10) as plain:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                    secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                    header = secure.recv(9)
                    return header[3:4] == b"\4", f"first frame: {header!r}"
        except (ssl.SSLError, ConnectionError) as error:
            return False, str(error)

    def stop(self):
        self.worker.stop()
        self.gateway.stop()


class CertificateFaultTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch("groot-certificates-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.fleet = Fleet(cls.scratch.name)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.ready()

    def issue(self, role, name, *flags):
        certs(self.fleet.folder, "issue", role, name, *flags)
        return f"{role}-{name}"

    def assertRefused(self, machine, port=None):
        served, said = self.fleet.connect(machine, port)
        self.assertFalse(served, said)

    def assertServed(self, machine, port=None):
        served, said = self.fleet.connect(machine, port)
        self.assertTrue(served, said)

    def test_a_robot_with_a_certificate_is_served_and_a_stranger_is_not(self):
        self.assertServed(self.issue("robot", "r1"))
        self.assertRefused(None)
        with scratch("groot-strangers-") as other:
            folder = pathlib.Path(other)
            certs(folder, "init")
            certs(folder, "issue", "robot", "r1")
            stranger = self.fleet.folder / "authority/machines/robot-stranger"
            (folder / "authority/machines/robot-r1").rename(stranger)
        self.assertRefused("robot-stranger")

    def test_a_revoked_robot_is_refused_within_the_reload(self):
        machine = self.issue("robot", "stolen")
        self.assertServed(machine)
        certs(self.fleet.folder, "revoke", "robot", "stolen")
        eventually("the refusal", lambda: not self.fleet.connect(machine)[0], 30)
        # Nobody else is affected.
        self.assertServed(self.issue("robot", "honest"))

    def test_an_agent_with_another_robots_certificate_moves_nothing(self):
        machine = self.issue("robot", "thief")
        master, admin = free_ports(2)
        sim = Daemon("sim", [BINARIES / "groot-sim", "run", "--robot", "victim", "--master-port", master, "--admin", f"127.0.0.1:{admin}"],
                     self.fleet.folder)
        self.addCleanup(sim.stop)
        eventually("the robot", lambda: self.fleet.get("/readyz", admin), 60)
        agent = Daemon("agent", [
            BINARIES / "groot-agent", "--robot", "victim", "--task", "Depalletize the green box", "--gateway", f"127.0.0.1:{self.fleet.port}",
            "--ros-master", f"http://127.0.0.1:{master}", "--admin", "off", "--state-dir", self.fleet.folder / "agent",
            *tls(self.fleet.folder, machine),
        ], self.fleet.folder)
        self.addCleanup(agent.stop)
        why = 'the certificate of robot/thief does not allow to speak for robot'
        eventually("the refusal", lambda: why in agent.text(), 60, agent.tail)
        self.assertNotIn("episode started", agent.text())
        eventually("the end of the agent", lambda: agent.process.poll() is not None, 30)
        self.assertNotEqual(agent.process.returncode, 0)
        known = json.loads(self.fleet.get("/state"))["robots"]
        self.assertNotIn("victim", [robot["robot"] for robot in known])

    def test_a_worker_with_a_robots_certificate_gets_no_observation(self):
        machine = self.issue("robot", "impostor", "--ip", "127.0.0.1")
        worker = self.fleet.start_worker("impostor", machine, self.fleet.spare_port)
        self.addCleanup(worker.stop)
        eventually("the reason", lambda: "its certificate is that of robot/impostor" in self.fleet.get("/state"), 60)
        self.assertEqual(self.fleet.state(self.fleet.spare_port)["up"], False)
        worker.stop()
        self.fleet.get("/readyz")

    def test_orders_need_an_operators_certificate(self):
        for machine in (self.issue("robot", "bossy"), "worker-w1", "gateway-g1"):
            status, text = self.fleet.order("/workers/w1/drain", machine)
            self.assertEqual((status, "gives no right to order" in text), ("403", True), text)
        self.assertEqual(self.fleet.order("/workers/w1/drain")[0], "000", "without a certificate there is no connection")
        # Being on the gateway's machine is no right either.
        for path in ("/workers/w1/drain", "/drain", "/log-level/debug"):
            request = urllib.request.Request(f"http://127.0.0.1:{self.fleet.admin}{path}", method="POST", data=b"")
            with self.subTest(path=path), self.assertRaises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(request, timeout=5)
            self.assertEqual(refusal.exception.code, 403)
            self.assertIn("operators' certificates only", refusal.exception.read().decode())
        self.assertFalse(self.fleet.state(self.fleet.worker_port)["draining"])

        anna = self.issue("operator", "anna")
        self.assertEqual(self.fleet.order("/workers/w1/drain", anna), ("200", "ok\n"))
        self.assertTrue(self.fleet.state(self.fleet.worker_port)["draining"])
        self.assertEqual(self.fleet.order("/workers/w1/undrain", anna), ("200", "ok\n"))
        self.assertFalse(self.fleet.state(self.fleet.worker_port)["draining"])
        self.assertEqual(self.fleet.order("/workers/nobody/drain", anna)[0], "404")
        self.assertEqual(self.fleet.order("/log-level/loud", anna)[0], "400")
        self.assertRegex(self.fleet.gateway.text(), r'"operator/anna"|operator/anna')
        self.assertRegex(self.fleet.get("/metrics"), r'groot_gateway_orders_total\{outcome="refused"\} [4-9]')

    def test_an_expired_certificate_is_refused(self):
        machine = self.issue("robot", "late")
        home = self.fleet.folder / "authority/machines" / machine
        # openssl signs what our command refuses to: a certificate whose time is over.
        request = self.fleet.folder / "late.csr"
        extensions = self.fleet.folder / "late.ext"
        extensions.write_text("subjectAltName=URI:groot://robot/late\nextendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n")
        subprocess.run(["openssl", "req", "-new", "-key", home / "key.pem", "-subj", "/CN=robot late", "-out", request], check=True)
        authority = self.fleet.folder / "authority"
        signed = subprocess.run(
            ["openssl", "x509", "-req", "-in", request, "-CA", authority / "authority.pem", "-CAkey", authority / "authority.key",
             "-set_serial", "4711", "-days", "-1", "-extfile", extensions, "-out", home / "certificate.pem"],
            text=True, capture_output=True,
        )
        self.assertEqual(signed.returncode, 0, signed.stderr)
        end = subprocess.run(["openssl", "x509", "-in", home / "certificate.pem", "-noout", "-checkend", "0"], capture_output=True)
        self.assertEqual(end.returncode, 1, "the certificate has to have expired for this test")
        self.assertRefused(machine)

    def test_a_worker_serves_gateways_only(self):
        robot = self.issue("robot", "direct")
        gateway = self.issue("gateway", "g2", "--ip", "127.0.0.1")
        self.assertServed(gateway, self.fleet.worker_port)
        self.assertRefused(robot, self.fleet.worker_port)
        self.assertRefused(None, self.fleet.worker_port)
        eventually("the worker's reason", lambda: "is of robot/direct, expected a gateway" in self.fleet.worker.text())
        self.assertRegex(self.fleet.get("/metrics", self.fleet.worker_admin), r"groot_worker_refused_peers_total\{worker=\"[^\"]+\"\} [1-9]")

    def test_a_worker_refuses_a_revoked_gateway(self):
        gateway = self.issue("gateway", "old", "--ip", "127.0.0.1")
        self.assertServed(gateway, self.fleet.worker_port)
        certs(self.fleet.folder, "revoke", "gateway", "old")
        eventually("the refusal", lambda: not self.fleet.connect(gateway, self.fleet.worker_port)[0], 20)
        self.assertIn("is revoked", self.fleet.worker.text())

    def test_renewal_is_taken_up_without_a_restart(self):
        def shown(port):
            run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input=b"", capture_output=True, timeout=20)
            return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=run.stdout, capture_output=True, check=True).stdout

        pid = self.fleet.worker.process.pid
        for machine, port in (("worker w1", self.fleet.worker_port), ("gateway g1", self.fleet.port)):
            before = shown(port)
            certs(self.fleet.folder, "renew", *machine.split())
            eventually(f"{machine} shows the new certificate", lambda: shown(port) != before, 30)
        self.assertEqual(self.fleet.worker.process.pid, pid)
        self.assertIsNone(self.fleet.worker.process.poll())
        self.assertIn("certificate renewed", self.fleet.worker.text())

    def test_a_broken_deny_list_keeps_the_last_good_one(self):
        machine = self.issue("robot", "gone")
        certs(self.fleet.folder, "revoke", "robot", "gone")
        eventually("the refusal", lambda: not self.fleet.connect(machine)[0], 30)
        good = self.fleet.folder / "authority/revoked.txt"
        text = good.read_text()
        try:
            good.write_text("nonsense\n")
            eventually("the worker's complaint", lambda: 'is no serial number' in self.fleet.worker.text())
            self.assertRefused(machine)
        finally:
            good.write_text(text)

    def test_bad_files_are_named_at_the_start(self):
        with scratch("groot-badtls-") as folder:
            empty = pathlib.Path(folder) / "empty.pem"
            empty.write_text("")
            flags = [str(flag) for flag in tls(self.fleet.folder, "worker-w1")]
            for index, word in ((1, "empty.pem"), (3, "empty.pem"), (5, "empty.pem")):
                with self.subTest(flag=flags[index - 1]):
                    bad = [*flags[:index], str(empty), *flags[index + 1:]]
                    run = subprocess.run(
                        [BINARIES / "groot-worker", "--checkpoint", ROOT / "policies/groot-mini", "--listen", "127.0.0.1:0", "--admin", "off", *bad],
                        text=True, capture_output=True, timeout=60,
                    )
                    self.assertEqual(run.returncode, 65, run.stderr)
                    self.assertIn(word, run.stderr)
            half = subprocess.run(
                [BINARIES / "groot-worker", "--checkpoint", "x", *flags[:2]], text=True, capture_output=True, timeout=60
            )
            self.assertEqual(half.returncode, 64)
            self.assertIn("belong together", half.stderr)

    def test_a_key_that_others_may_read_never_leaves_the_command(self):
        machine = self.issue("operator", "berta")
        home = self.fleet.folder / "authority/machines" / machine
        for key in (home / "key.pem", self.fleet.folder / "authority/authority.key"):
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        again = certs(self.fleet.folder, "issue", "operator", "berta", check=False)
        self.assertEqual(again.returncode, 73)
        self.assertIn("not written over", again.stderr)


if __name__ == "__main__":
    unittest.main()
