"""Workers found by name, over TLS: `dns:` and `srv:` against a real name server (dnsmasq) in a network of their own.

The certificate must carry the name that was asked for (`dns:`) or the target that the SRV record names.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import urllib.request

from common import BINARIES, ROOT, Daemon, eventually, scratch

INSIDE = "GROOT_TEST_INSIDE"
ADMIN = 8081


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("dnsmasq"), "needs root, for a network namespace, and dnsmasq (make setup)")
class DiscoveryTests(unittest.TestCase):
    def test_names_are_what_certificates_are_checked_against(self):
        with scratch("groot-discovery-") as folder:
            resolver = pathlib.Path(folder, "resolv.conf")
            resolver.write_text("nameserver 127.0.0.1\n")
            inside = f"ip link set lo up && mount --bind {resolver} /etc/resolv.conf && exec {sys.executable} {__file__} {folder}"
            run = subprocess.run(["unshare", "-n", "-m", "sh", "-c", inside], text=True, capture_output=True, timeout=240,
                                 env={**os.environ, INSIDE: "1"}, cwd=pathlib.Path(__file__).parent)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


def worker():
    """The gateway's only worker, as its /state has it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/state", timeout=5) as answer:
        found = json.load(answer)["workers"]
    return found[0] if found else {"up": False, "reason": ""}


def tls(machine):
    return ["--tls-certificate", machine / "certificate.pem", "--tls-key", machine / "key.pem", "--tls-authority", machine / "authority.pem"]


def inside(folder):
    home = pathlib.Path(folder)

    def certs(*words):
        subprocess.run([BINARIES / "groot-gateway", "certs", *words, "--directory", home / "ca"], check=True, stdout=subprocess.DEVNULL)

    certs("init")
    certs("issue", "gateway", "g1", "--dns", "gateway.fleet.test")
    certs("issue", "worker", "w1", "--dns", "worker.fleet.test")
    machines = home / "ca/machines"
    with contextlib.ExitStack() as stack:
        def start(name, *command):
            daemon = Daemon(name, command, home)
            stack.callback(daemon.stop)
            return daemon

        start("dns", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
              "--listen-address=127.0.0.1", "--bind-interfaces",
              "--host-record=worker.fleet.test,127.0.0.1", "--host-record=other.fleet.test,127.0.0.1",
              "--srv-host=_grpc._tcp.fleet.test,worker.fleet.test,8090", "--srv-host=_other._tcp.fleet.test,other.fleet.test,8090")
        start("worker", BINARIES / "groot-worker", "serve", "--name", "w1", "--checkpoint", ROOT / "policies/groot-mini",
              "--listen", "127.0.0.1:8090", "--admin", "127.0.0.1:8091", *tls(machines / "worker-w1"))

        # What is asked for, and whether the worker's certificate is for it.
        for workers, fits in [
            ("dns:worker.fleet.test:8090", True), ("srv:_grpc._tcp.fleet.test", True),
            ("dns:other.fleet.test:8090", False), ("srv:_other._tcp.fleet.test", False), ("127.0.0.1:8090", False),
        ]:
            gateway = Daemon(f"gateway-{workers.replace(':', '-')}", [
                BINARIES / "groot-gateway", "serve", "--workers", workers, "--listen", "127.0.0.1:8080", "--admin", f"127.0.0.1:{ADMIN}",
                "--state-dir", home / "state", "--database", "postgres://nobody@127.0.0.1:1/none", *tls(machines / "gateway-g1"),
                "--worker-tls-authority", machines / "gateway-g1/authority.pem"], home)
            try:
                if fits:
                    eventually(f"{workers}: the worker is up", lambda: worker()["up"], 60)
                else:
                    eventually(f"{workers}: refused", lambda: "mismatch" in worker()["reason"] and not worker()["up"], 60)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{gateway.tail(20)}") from None
            finally:
                code = gateway.stop()
            assert code == 0, f"{workers}: exit {code}\n{gateway.tail(20)}"


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        inside(sys.argv[1])
    else:
        unittest.main()
