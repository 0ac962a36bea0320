"""Measures the gateway beside nghttpx, HAProxy, nginx and Envoy in one run, and prints a table with ratios.

Every proxy gets one thread, the same two backends and the same load, in interleaved rounds; what counts is CPU
microseconds of the proxy per request (from /proc/PID/task/*/schedstat), because requests per second depend on
whatever else the machine does. The gateway runs as its user runs it: with its database, health checks and metadata.

    ROUNDS=5 ONLY=small,obs PEERS=gateway,nginx TLS=0 make bench-gateway

What was measured also goes to .state/bench/results.json, from which page.py writes the tables of docs/benchmarks*.md.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from peers import PEERS, Peer

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STATE = ROOT / ".state" / "bench"

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS_EACH", "3"))
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]
WANTED = [name for name in os.environ.get("PEERS", "").split(",") if name]
TLS_MODES = [bool(int(mode)) for mode in os.environ.get("TLS", "0,1").split(",")]

# name: connections, streams, body bytes, response bytes, requests per second (0: as many as go through)
WORKLOADS = {
    "small": (10, 10, 200, 200, 0),
    "obs": (16, 1, 460_000, 2_000, 0),
    "large": (8, 1, 2_800_000, 2_000, 0),
    "latobs": (4, 1, 460_000, 2_000, 50),
}
SCENARIOS = ("lb", "fail", "goaway")


class NotStarted(Exception):
    """A proxy or a backend is not there; the run goes on without that cell."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"{process.args[3]} ended with code {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise NotStarted(f"{process.args[3]} does not listen on {port}")


def build_tools() -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    for tool, libraries in (("backend", ["-lnghttp2"]), ("load", ["-lnghttp2", "-lssl", "-lcrypto", "-lm"])):
        source, binary = HERE / f"{tool}.c", STATE / tool
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            compiler = shutil.which("cc") or shutil.which("clang")
            subprocess.run([compiler, "-O2", "-Wall", "-o", binary, source, *libraries], check=True)


def make_certificate() -> tuple[pathlib.Path, pathlib.Path]:
    certificate, key = STATE / "server.pem", STATE / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (STATE / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, key


class Backend:
    """One of the two workers; can be killed and started again on its port."""

    def __init__(self, name: str, response: int, service_ms: float = 0, serial: bool = False, goaway: int = 0) -> None:
        self.port = free_port()
        self.command = [str(STATE / "backend"), str(self.port), name, str(response), str(service_ms),
                        str(int(serial)), str(goaway)]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(pinned(0, self.command))
        wait_for(self.port, self.process)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def pinned(cpu: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(cpu % os.cpu_count()), *command]


class Running:
    """A proxy that serves, with its CPU time and memory."""

    def __init__(self, peer: Peer, backends: list[Backend], tls: bool) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"groot-bench-{peer.name}-"))
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        command = peer.command(self.folder, self.port, [backend.port for backend in backends], STATE if tls else None)
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(pinned(1, command), stdout=self.log, stderr=self.log, cwd=ROOT)
        wait_for(self.port, self.process, 60)
        time.sleep(peer.settle)

    def pids(self) -> list[int]:
        """The proxy's own processes: not the gateway's database."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            if "postgres" in name or name in ("initdb", "sh", "runuser", "setpriv"):
                continue
            found.append(pid)
            queue += [int(child) for child in children]
        return found

    def cpu_seconds(self) -> float:
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except OSError:
                    pass
        return total / 1e9

    def peak_megabytes(self) -> float:
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def load(port: int, tls: bool, connections: int, streams: int, body: int, seconds: float, rate: float, poisson=False):
    command = [str(STATE / "load"), str(port), str(int(tls)), str(connections), str(streams), str(body), str(seconds),
               str(rate), str(int(poisson))]  # fmt: skip
    return subprocess.Popen(pinned(0, command), stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> dict:
    output, _ = process.communicate(timeout=120)
    if process.returncode != 0:
        return {"requests": 0, "errors": 1, "refused": 0, "lost": 1, "seconds": 1, "p50": 0, "p90": 0, "p99": 0}
    return json.loads(output)


def measure(running: Running, tls: bool, workload: str) -> dict:
    connections, streams, body, _, rate = WORKLOADS[workload]
    finish(load(running.port, tls, connections, streams, body, 0.5, rate))
    before = running.cpu_seconds()
    result = finish(load(running.port, tls, connections, streams, body, SECONDS, rate))
    result["cpu_us"] = (running.cpu_seconds() - before) * 1e6 / max(1, result["requests"])
    result["rps"] = result["requests"] / result["seconds"]
    result["rss"] = running.peak_megabytes()
    return result


def scenario(peer: Peer, name: str) -> dict:
    """The three that need backends of their own."""
    if name == "lb":
        backends = [Backend("fast", 2000, 8, serial=True), Backend("slow", 2000, 24, serial=True)]
    elif name == "fail":
        backends = [Backend("a", 2000, 60), Backend("b", 2000, 60)]
    else:
        backends = [Backend("a", 2000, goaway=500), Backend("b", 2000, goaway=500)]
    running = None
    try:
        running = Running(peer, backends, tls=False)
        if name == "lb":
            finish(load(running.port, False, 16, 16, 200, 2, 100, poisson=True))
            return finish(load(running.port, False, 16, 16, 200, 4 * SECONDS, 100, poisson=True))
        if name == "fail":
            process = load(running.port, False, 16, 1, 460_000, 8, 60)
            time.sleep(2)
            backends[0].stop()
            time.sleep(3)
            backends[0].start()
            return finish(process)
        return finish(load(running.port, False, 16, 1, 2_000, SECONDS, 0))
    finally:
        if running:
            running.stop()
        for backend in backends:
            backend.stop()


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def one_round(peers: list[Peer], number: int, backends: list[Backend], tls: bool, workload: str) -> dict[str, dict]:
    """Every proxy once: in processes of their own, because where a process's pages lie in the caches stays with it and
    makes up to 10 %, and in another order each round."""
    shift = number % len(peers)
    proxies: dict[str, Running] = {}
    try:
        for peer in peers[shift:] + peers[:shift]:
            proxies[peer.name] = Running(peer, backends, tls)
        return {name: measure(running, tls, workload) for name, running in proxies.items()}
    finally:
        for running in proxies.values():
            running.stop()


def steady(peers: list[Peer], tls: bool, record: dict) -> None:
    workloads = [name for name in WORKLOADS if not ONLY or name in ONLY]
    if not workloads:
        return
    results: dict[tuple[str, str], list[dict]] = {}
    direct: dict[str, list[dict]] = {}
    for workload in workloads:
        response = WORKLOADS[workload][3]
        backends = [Backend("a", response), Backend("b", response)]
        try:
            for number in range(ROUNDS):
                print(f"  {workload}{' over TLS' if tls else ''}, round {number + 1} of {ROUNDS}", file=sys.stderr)
                connections, streams, body, _, rate = WORKLOADS[workload]
                direct.setdefault(workload, []).append(
                    finish(load(backends[0].port, False, connections, streams, body, min(SECONDS, 2), rate))
                )
                for name, result in one_round(peers, number, backends, tls, workload).items():
                    results.setdefault((workload, name), []).append(result)
        finally:
            for backend in backends:
                backend.stop()
    names = [peer.name for peer in peers]
    for workload in workloads:
        record[workload] = {
            "direct_p50": median([run["p50"] for run in direct[workload]]),
            "peers": {
                name: {
                    **{key: median([run[key] for run in results[workload, name]]) for key in ("cpu_us", "rps", "p50", "p99")},
                    "errors": sum(run["errors"] for run in results[workload, name]),
                    "rss": max(run["rss"] for run in results[workload, name]),
                    "ratio": median(
                        [g["cpu_us"] / max(o["cpu_us"], 1e-9)
                         for g, o in zip(results.get((workload, "gateway"), []), results[workload, name])]
                    ),
                }
                for name in names
            },
        }  # fmt: skip
    print(f"\nCPU us per request, {'TLS in front, ' if tls else ''}h2c behind (median of {ROUNDS} rounds)")
    rows = [["workload", *names, *(f"gateway / {name}" for name in names if name != "gateway")]]
    for workload in workloads:
        cpu = {name: [r["cpu_us"] for r in results[workload, name]] for name in names}
        row = [workload, *(f"{median(cpu[name]):.1f}" for name in names)]
        for name in names:
            if name != "gateway" and "gateway" in names:
                row.append(f"{median([g / max(o, 1e-9) for g, o in zip(cpu['gateway'], cpu[name])]):.2f}")
        rows.append(row)
    print(table(rows))
    print("\nrequests per second / p50 us / p99 us / errors / peak MB")
    rows = [["workload", "direct", *names]]
    for workload in workloads:
        straight = direct[workload]
        row = [workload, f"{median([r['requests'] / r['seconds'] for r in straight]):.0f} / "
               f"{median([r['p50'] for r in straight]):.0f}"]  # fmt: skip
        for name in names:
            runs = results[workload, name]
            row.append(
                f"{median([r['rps'] for r in runs]):.0f} / {median([r['p50'] for r in runs]):.0f} / "
                f"{median([r['p99'] for r in runs]):.0f} / {sum(r['errors'] for r in runs)} / "
                f"{max(r['rss'] for r in runs):.0f}"
            )
        rows.append(row)
    print(table(rows), flush=True)


def scenarios(peers: list[Peer], record: dict) -> None:
    wanted = [name for name in SCENARIOS if not ONLY or name in ONLY]
    if not wanted:
        return
    head = ["scenario", *(peer.name for peer in peers)]
    print("\nlb: p50 / p90 / p99; fail and goaway: what the robots saw")
    for name in wanted:
        row = [name]
        for peer in peers:
            print(f"  {name}: {peer.name}", file=sys.stderr)
            try:
                result = scenario(peer, name)
            except NotStarted as problem:
                row.append(str(problem))
                continue
            record.setdefault(name, {})[peer.name] = result
            if name == "lb":
                row.append(f"{result['p50'] / 1e3:.0f} / {result['p90'] / 1e3:.0f} / {result['p99'] / 1e3:.0f} ms")
            else:
                row.append(f"{result['errors']} errors, {result['refused']} sent again, "
                           f"{result['requests'] / result['seconds']:.0f}/s, p99 {result['p99'] / 1e3:.1f} ms")  # fmt: skip
        print(table([head, row]), flush=True)


def main() -> None:
    build_tools()
    make_certificate()
    peers, missing = [], []
    for peer in PEERS:
        if WANTED and peer.name not in WANTED:
            continue
        (peers if peer.available() else missing).append(peer)
    for peer in missing:
        print(f"bench: {peer.name} is not installed: {peer.hint}", file=sys.stderr)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout
    record = {
        "date": time.strftime("%Y-%m-%d"), "commit": commit.strip(), "rounds": ROUNDS, "seconds": SECONDS,
        "cpus": os.cpu_count(), "load": os.getloadavg()[0], "cleartext": {}, "tls": {}, "scenarios": {},
    }  # fmt: skip
    for tls in TLS_MODES:
        steady(peers, tls, record["tls" if tls else "cleartext"])
    scenarios(peers, record["scenarios"])
    (STATE / "results.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
