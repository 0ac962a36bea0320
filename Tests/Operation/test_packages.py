"""The Debian packages install into a throw-away root, upgrade, keep what an administrator changed, and leave nothing behind."""

import pathlib
import subprocess
import sys
import unittest

from common import BINARIES, ROOT, scratch

ROLES = ("gateway", "worker", "agent", "sim")


def build(output, version, roles=ROLES):
    subprocess.run(
        [sys.executable, ROOT / "scripts/package.py", "--binaries", BINARIES, "--output", output, "--version", version,
         "--compression", "none", *roles],
        check=True, stdout=subprocess.DEVNULL,
    )


def field(package, name):
    return subprocess.run(["dpkg-deb", "--field", package, name], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


class Root:
    """An empty system with a dpkg database of its own; maintainer scripts run outside of it, with DPKG_ROOT."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        for directory in ("info", "updates", "triggers"):
            (self.path / "var/lib/dpkg" / directory).mkdir(parents=True)
        for file in ("status", "available"):
            (self.path / "var/lib/dpkg" / file).touch()

    def dpkg(self, *arguments):
        run = subprocess.run(
            ["dpkg", f"--root={self.path}", "--force-script-chrootless", "--force-depends", "--force-not-root", "--force-confold",
             f"--log={self.path}/dpkg.log", *map(str, arguments)],
            text=True, capture_output=True,
        )
        if run.returncode:
            raise AssertionError(f"dpkg {arguments}: {run.stdout}{run.stderr}")
        return run.stdout + run.stderr

    def files(self):
        return {str(file.relative_to(self.path)) for file in self.path.rglob("*") if file.is_file() or file.is_symlink()}


class PackageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = scratch("groot-packages-")
        cls.old = pathlib.Path(cls.folder.name) / "old"
        cls.new = pathlib.Path(cls.folder.name) / "new"
        build(cls.old, "1.0.0")
        # The upgrade of one role shows what there is to see about upgrades.
        build(cls.new, "1.1.0", ("agent",))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_install_upgrade_remove_purge(self):
        with scratch("groot-root-") as folder:
            root = Root(folder)
            before = root.files()
            root.dpkg("--install", *sorted(self.old.glob("*.deb")))
            for role in ROLES:
                self.assertTrue((root.path / f"usr/bin/groot-{role}").stat().st_mode & 0o111)
                self.assertIn(f"groot-{role}:", (root.path / "etc/passwd").read_text())
            self.assertTrue((root.path / "lib/systemd/system/groot-gateway.service").exists())
            self.assertTrue((root.path / "usr/share/groot-fleet/policies/groot-mini/config.json").exists())
            self.assertTrue((root.path / "usr/lib/groot-fleet/libonnxruntime.so").exists())
            self.assertTrue((root.path / "var/lib/groot-gateway").is_dir())

            changed = root.path / "etc/groot-fleet/agent.env"
            changed.write_text("GROOT_AGENT_ARGS='--task mine'\n")
            key = root.path / "etc/groot-fleet/tls/robot-r1/key.pem"
            key.parent.mkdir(parents=True)
            key.write_text("secret")
            root.dpkg("--install", *self.new.glob("*.deb"))
            self.assertEqual(changed.read_text(), "GROOT_AGENT_ARGS='--task mine'\n")
            status = (root.path / "var/lib/dpkg/status").read_text()
            self.assertIn("Package: groot-agent\nStatus: install ok installed", status)
            self.assertIn("Version: 1.1.0", status)

            root.dpkg("--remove", *[f"groot-{role}" for role in ROLES])
            self.assertFalse((root.path / "usr/bin/groot-agent").exists())
            self.assertTrue(changed.exists(), "a configuration stays until the purge")
            root.dpkg("--purge", *[f"groot-{role}" for role in ROLES])
            left = {
                file for file in root.files() - before
                if not file.startswith(("var/lib/dpkg/", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "dpkg.log", "etc/.pwd"))
            }
            self.assertEqual(left, {"etc/groot-fleet/tls/robot-r1/key.pem"}, "keys are the administrator's; all else goes")

    def test_packages_name_what_they_need(self):
        packages = {field(package, "Package"): package for package in self.old.glob("*.deb")}
        self.assertEqual(set(packages), {f"groot-{role}" for role in ROLES})
        needs = field(packages["groot-gateway"], "Depends").split(", ")
        for library in ("libnghttp2-14", "libpq5", "systemd"):
            self.assertIn(library, needs)
        self.assertNotIn("libpq5", field(packages["groot-agent"], "Depends").split(", "), "only the gateway talks to PostgreSQL")
        for name, package in packages.items():
            with self.subTest(package=name):
                listing = subprocess.run(["dpkg-deb", "--contents", package], check=True, text=True, stdout=subprocess.PIPE).stdout
                self.assertNotRegex(listing, r"(?m)^\S+ (?!root/root)", "everything belongs to root")
                self.assertNotRegex(listing, r"(?m)^-[rwx-]{7}w", "nothing is writable by everyone")
                self.assertIn(f"/etc/groot-fleet/{name.removeprefix('groot-')}.env", subprocess.run(
                    ["dpkg-deb", "--info", package, "conffiles"], check=True, text=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    unittest.main()
