"""Builds one Debian package per role out of built executables and deploy/: gateway, worker, agent, sim.

    package.py [--configuration release] [--output .state/packages] [--version 1.2.3] [ROLE...]

Dependencies come from what the executables link against; the Swift runtime is linked statically in release, and a debug
build's runtime directory is only good for this machine (tests).
"""

from __future__ import annotations

import argparse
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAINTAINER = "Groot Fleet <groot-fleet@localhost>"


@dataclass(frozen=True)
class Role:
    name: str
    summary: str
    unit: str
    # Shared libraries come from the executable; these are what it starts or loads at run time.
    needs: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    # The upgrade restarts it: it drains first, and others do its work meanwhile. A robot is never restarted by itself.
    restarts: bool = True
    extra: dict[str, str] = field(default_factory=dict)


ROLES = {
    role.name: role
    for role in (
        Role(
            "gateway",
            "balances robots over GPU workers and keeps what happened",
            "groot-gateway.service",
            recommends=("postgresql", "postgresql-client"),
            extra={
                "deploy/grafana": "usr/share/groot-fleet/grafana",
                "deploy/prometheus": "usr/share/groot-fleet/prometheus",
            },
        ),
        Role(
            "worker",
            "runs policies for a fleet of robots on one GPU",
            "groot-worker@.service",
            extra={
                ".state/onnxruntime/libonnxruntime.so": "usr/lib/groot-fleet/libonnxruntime.so",
                "policies/groot-mini": "usr/share/groot-fleet/policies/groot-mini",
            },
        ),
        Role("agent", "drives one robot at 100 Hz through a safety gate", "groot-agent@.service", restarts=False),
        Role(
            "sim",
            "simulated robot cell that speaks the robot's ROS topics",
            "groot-sim@.service",
            needs=("libosmesa6",),
        ),
    )
}


def version() -> str:
    """The one version in the sources."""
    text = (ROOT / "Sources/RobotAgent/Command/AgentRun.swift").read_text(encoding="utf-8")
    found = re.search(r'enum AgentVersion \{\s*package static let current = "([^"]+)"', text)
    if not found:
        raise SystemExit("package: no AgentVersion in Sources/RobotAgent/Command/AgentRun.swift; give --version")
    return found[1]


def architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def linked_packages(executable: pathlib.Path) -> list[str]:
    """Debian packages of the shared libraries that the executable names itself; libraries of the toolchain are left out."""
    dynamic = subprocess.run(["readelf", "-d", executable], check=True, text=True, stdout=subprocess.PIPE).stdout
    names = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
    resolved = subprocess.run(["ldd", executable], check=True, text=True, stdout=subprocess.PIPE).stdout
    paths = dict(re.findall(r"^\s*(\S+) => (/\S+)", resolved, flags=re.M))
    wanted = {path for name in names if (path := paths.get(name)) and not path.startswith("/opt/") and "/swift/linux/" not in path}
    # The same file under its names on a system with /lib merged into /usr; one question, because each reads all lists.
    spelled = {name: path for path in wanted for name in (path, path.removeprefix("/usr"), f"/usr{path}", os.path.realpath(path))}
    answer = subprocess.run(["dpkg-query", "-S", *spelled], text=True, capture_output=True).stdout
    packages = set()
    for owner, file in re.findall(r"^([^:\s]+)(?::\w+)?: (/.+)$", answer, re.M):
        packages.add(owner)
        wanted.discard(spelled.get(file, file))
    if wanted:
        raise SystemExit(f"package: no Debian package owns {', '.join(sorted(wanted))}, which {executable.name} links against")
    return sorted(packages)


def copy(source: pathlib.Path, target: pathlib.Path, mode: int = 0o644) -> None:
    if source.is_dir():
        for file in sorted(source.rglob("*")):
            if file.is_file():
                copy(file, target / file.relative_to(source), mode)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def scripts(role: Role) -> dict[str, str]:
    """Maintainer scripts; `DPKG_ROOT` is set when the package goes into another root than the running system's."""
    units = "groot-gateway.service" if role.name == "gateway" else f"'groot-{role.name}@*.service'"
    # One after the other, each when the one before it is ready: what they serve goes on meanwhile. A restart that fails is
    # systemd's business from then on; the package is installed.
    active = f"$(systemctl list-units --plain --no-legend --state=active {units} | cut -d ' ' -f 1)"
    restart = (
        f"        [ -z \"$2\" ] || for unit in {active}; do systemctl try-restart \"$unit\" || true; done\n"
        if role.restarts
        else "        [ -z \"$2\" ] || echo 'groot-agent: running robots keep the old version until you restart them'\n"
    )
    live = '[ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]'
    return {
        "postinst": f"""#!/bin/sh
set -e
if [ "$1" = configure ]; then
    systemd-sysusers ${{DPKG_ROOT:+--root="$DPKG_ROOT"}} groot-{role.name}.conf
    # A file that cannot be given away (no such account in an image being built by an ordinary user) is tried at boot.
    systemd-tmpfiles ${{DPKG_ROOT:+--root="$DPKG_ROOT"}} --create groot-{role.name}.conf || true
    if {live}; then
        systemctl daemon-reload
{restart}    fi
fi
""",
        "prerm": f"""#!/bin/sh
set -e
if [ "$1" = remove ] && {live}; then
    systemctl stop {units}
fi
""",
        "postrm": f"""#!/bin/sh
set -e
if [ "$1" = purge ]; then
    rm -rf "$DPKG_ROOT/var/lib/groot-{role.name}"
    # What `systemctl enable` made would point nowhere.
    rm -f "$DPKG_ROOT"/etc/systemd/system/*.wants/groot-{role.name}.service "$DPKG_ROOT"/etc/systemd/system/*.wants/groot-{role.name}@*.service
    # Certificates, keys and what an administrator added stay; an empty directory does not.
    rmdir --ignore-fail-on-non-empty "$DPKG_ROOT/etc/groot-fleet/tls" "$DPKG_ROOT/etc/groot-fleet" 2>/dev/null || true
fi
if {live}; then
    systemctl daemon-reload
fi
""",
    }


def build(role: Role, binaries: pathlib.Path, version: str, output: pathlib.Path, compression: str) -> pathlib.Path:
    name = f"groot-{role.name}"
    executable = binaries / name
    if not executable.exists():
        raise SystemExit(f"package: {executable} is missing; build it first")
    with tempfile.TemporaryDirectory(prefix="groot-package-") as folder:
        tree = pathlib.Path(folder) / name
        copy(executable, tree / "usr/bin" / name, 0o755)
        subprocess.run(["strip", "--strip-unneeded", tree / "usr/bin" / name], check=True)
        copy(ROOT / "deploy/systemd" / role.unit, tree / "lib/systemd/system" / role.unit)
        for kind in ("sysusers.d", "tmpfiles.d"):
            copy(ROOT / "deploy" / kind / f"{name}.conf", tree / "usr/lib" / kind / f"{name}.conf")
        copy(ROOT / f"deploy/config/{role.name}.env", tree / f"etc/groot-fleet/{role.name}.env")
        for source, target in role.extra.items():
            path = ROOT / source
            if not path.exists():
                raise SystemExit(f"package: {source} is missing; `make setup` fetches what is not in the repository")
            copy(path, tree / target)
        documents = tree / "usr/share/doc" / name
        copy(ROOT / "docs/operations", documents / "operations")
        (documents / "changelog.gz").write_bytes(
            gzip.compress(f"{name} ({version}) stable; urgency=medium\n\n  * See the repository's history.\n".encode(), mtime=0)
        )
        control = tree / "DEBIAN"
        control.mkdir()
        depends = sorted({*linked_packages(executable), *role.needs, "systemd"})
        size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()) // 1024
        fields = {
            "Package": name,
            "Version": version,
            "Architecture": architecture(),
            "Maintainer": MAINTAINER,
            "Installed-Size": str(size),
            "Section": "science",
            "Priority": "optional",
            "Depends": ", ".join(depends),
            "Recommends": ", ".join(role.recommends),
            "Description": f"Groot Fleet {role.name}: {role.summary}",
        }
        (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items() if value))
        (control / "conffiles").write_text(f"/etc/groot-fleet/{role.name}.env\n")
        for script, text in scripts(role).items():
            (control / script).write_text(text)
            (control / script).chmod(0o755)
        for folder_ in tree.rglob("*"):
            if folder_.is_dir():
                folder_.chmod(0o755)
        tree.chmod(0o755)
        package = output / f"{name}_{version}_{architecture()}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", tree, package],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roles", nargs="*", metavar="ROLE", help="gateway, worker, agent, sim; all when left out")
    parser.add_argument("--configuration", default="release", help="build whose executables are packed")
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of the executables, instead of a configuration")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".state/packages")
    parser.add_argument("--version", default=None)
    parser.add_argument("--compression", choices=("xz", "gzip", "none"), default="xz", help="none is quick, for tests")
    options = parser.parse_args()
    unknown = [name for name in options.roles if name not in ROLES]
    if unknown:
        parser.error(f"no such role: {', '.join(unknown)}")
    options.output.mkdir(parents=True, exist_ok=True)
    binaries = options.binaries or ROOT / ".build" / options.configuration
    for name in options.roles or ROLES:
        package = build(ROLES[name], binaries, options.version or version(), options.output, options.compression)
        print(f"    {package.relative_to(ROOT) if package.is_relative_to(ROOT) else package}  {package.stat().st_size >> 20} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
