"""Telemetry rows per second through one gateway, against raw COPY of the same rows in the same run.

Starts the release gateway with its own PostgreSQL on this machine, sends reports as agents do (gRPC through the
gateway's listener, every answer means committed), checks that every row is there exactly once, then copies the very
same rows with psql from binary files into the same emptied tables: once over one connection, once over two at a time.
The three take turns for some rounds.

Everything shares the machine's cores, the sender included. Needs Debian's python3-grpcio.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import grpc

from fleet import ROOT, database_home, free_port

RECORDS_PER_CALL = 1000
DURABILITY = ("synchronous_commit", "fsync", "full_page_writes")
TABLES = ("inferences", "control_samples", "events")


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def text(field: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def inference(sequence: int, episode: str) -> bytes:
    """An InferenceRecord with everything that a healthy robot fills in."""
    timings = b"".join(number(i + 1, v) for i, v in enumerate([1_200_000, 800_000, 300_000, 21_000_000, 90_000, 60_000]))
    return b"".join([
        number(1, sequence), text(2, episode), text(3, str(uuid.uuid4())), number(4, sequence), text(5, "w1"),
        text(6, "groot-mini"), number(7, time.time_ns()), number(8, 48_000_000 + sequence), number(9, 800_000_000),
        number(10, 750_000_000), number(11, 16), number(12, 1), number(13, 1), number(14, 3_000_000),
        number(15, 1_500_000), number(16, 44_000_000), text(17, timings), number(18, 2), text(19, "OK"),
        number(21, 460_000),
    ])  # fmt: skip


def sample(sequence: int, episode: str) -> bytes:
    """A ControlSample of one second."""
    values = [100, 0, 0, 2, 640_000_000, 410_000_000, 9_000, 85_000, 240_000]
    head = number(1, sequence) + text(2, episode) + number(3, time.time_ns())
    return head + b"".join(number(i + 4, v) for i, v in enumerate(values))


def event(sequence: int, episode: str) -> bytes:
    """An Event for people."""
    return b"".join([
        number(1, sequence), text(2, episode), number(3, time.time_ns()), text(4, "safety"), text(5, "velocity_limited"),
        text(6, "joint arm_left_3 asked for 2.4 rad/s, 1.5 rad/s sent"),
    ])  # fmt: skip


def record(sequence: int, episode: str) -> bytes:
    """Three inferences to each second's control sample, and an event in about fifteen seconds."""
    if sequence % 60 == 2:
        return text(5, event(sequence, episode))
    return text(4, sample(sequence, episode)) if sequence % 4 == 0 else text(3, inference(sequence, episode))


def reports(robot: str, calls: int) -> list[bytes]:
    """What one robot sends after an outage: full reports, one after the other."""
    boot, episode, sequence, result = str(uuid.uuid4()), str(uuid.uuid4()), 0, []
    for _ in range(calls):
        parts = [text(1, robot), text(2, boot)]
        for _ in range(RECORDS_PER_CALL):
            sequence += 1
            parts.append(record(sequence, episode))
        result.append(b"".join(parts))
    return result


class Database:
    def __init__(self, psql: pathlib.Path):
        self.psql = psql

    def run(self, *commands: str) -> str:
        arguments = [argument for command in commands for argument in ("-c", command)]
        return subprocess.run(
            [str(self.psql), "-X", "-qAt", "-v", "ON_ERROR_STOP=1", *arguments], check=True, text=True, stdout=subprocess.PIPE
        ).stdout.strip()

    def empty(self) -> None:
        """As if nothing had ever arrived."""
        self.run("TRUNCATE telemetry_boots, " + ", ".join(TABLES), "CHECKPOINT")

    def copy(self, table: str, columns: str, file: pathlib.Path) -> subprocess.Popen:
        command = f"\\copy {table} ({columns}) FROM '{file}' (FORMAT binary)"
        return subprocess.Popen([str(self.psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command])


def send(address: str, queue: list[list[bytes]], failures: list[str]) -> None:
    """One agent after the other, each call after the last one's answer."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary("/groot.v1.Fleet/ReportTelemetry", request_serializer=None, response_deserializer=None)
        while queue:
            for body in queue.pop():
                try:
                    call(body, timeout=60)
                except grpc.RpcError as error:
                    failures.append(f"{error.code()}: {error.details()}")
                    return


def wait_ready(process: subprocess.Popen, psql: pathlib.Path, log: pathlib.Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the gateway ended; {log}:\n{log.read_text()[-2000:]}")
        if psql.exists():
            return
        time.sleep(0.1)
    sys.exit(f"no database after 90 s; see {log}")


def copied(database: Database, columns: dict[str, str], files: dict[str, list[pathlib.Path]], connections: int) -> float:
    """Seconds for COPY of everything into emptied tables, half of each table per connection when there are two."""
    database.empty()
    started = time.monotonic()
    for table in TABLES:
        waiting = list(files[table])
        while waiting:
            running = [database.copy(table, columns[table], waiting.pop()) for _ in range(connections) if waiting]
            if any([process.wait() for process in running]):
                sys.exit("COPY failed")
    return time.monotonic() - started


def through_gateway(address: str, robots: list[list[bytes]], senders: int) -> float:
    """Seconds until every report is answered."""
    failures: list[str] = []
    queue = list(robots)
    threads = [threading.Thread(target=send, args=(address, queue, failures)) for _ in range(senders)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"reports failed: {failures[0]}")
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--senders", type=int, default=4, help="connections that send at a time")
    parser.add_argument("--robots", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--configuration", default="release")
    arguments = parser.parse_args()
    calls = max(1, arguments.rows // RECORDS_PER_CALL // arguments.robots)
    total = calls * RECORDS_PER_CALL * arguments.robots
    times: dict[str, list[float]] = {"gateway": [], "COPY, 1 connection": [], "COPY, 2 connections": []}
    gateway_cpu = 0.0

    state = database_home(pathlib.Path(tempfile.mkdtemp(prefix="groot-bench-", dir="/var/tmp")))
    state.chmod(0o755)
    log = state / "gateway.log"
    port, admin, nobody = free_port(0), free_port(0), free_port(0)
    with log.open("wb") as output:
        gateway = subprocess.Popen(
            [
                str(ROOT / ".build" / arguments.configuration / "groot-gateway"),
                "--workers", f"127.0.0.1:{nobody}", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
                "--state-dir", str(state / "gateway"), "--log-level", "error",
            ],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        psql = state / "gateway" / "psql"
        wait_ready(gateway, psql, log)
        database = Database(psql)
        print(f"{total} rows: {arguments.robots} robots, {calls} reports of {RECORDS_PER_CALL} each; making them ...", flush=True)
        robots = [reports(f"r{i}", calls) for i in range(arguments.robots)]
        sent = sum(len(body) for robot in robots for body in robot)
        count = "SELECT count(*) FROM (" + " UNION ALL ".join(f"SELECT robot, sequence FROM {t}" for t in TABLES) + ") AS r"
        durable = [database.run(f"SHOW {name}") for name in DURABILITY]
        if durable != ["on"] * 3:
            sys.exit(f"{', '.join(DURABILITY)}: {durable}; the database does not keep what it confirms")
        columns, files = {}, {}
        for index in range(arguments.rounds):
            database.empty()
            began_cpu = cpu(gateway.pid)
            times["gateway"].append(through_gateway(f"127.0.0.1:{port}", robots, arguments.senders))
            gateway_cpu += cpu(gateway.pid) - began_cpu
            there = [database.run(count), database.run(count.replace("count(*)", "count(DISTINCT (robot, sequence))"))]
            if there != [str(total)] * 2:
                sys.exit(f"sent {total} rows, found {there}")
            if index == 0:
                columns, files = export(database, state)
            times["COPY, 1 connection"].append(copied(database, columns, files, 1))
            times["COPY, 2 connections"].append(copied(database, columns, files, 2))
            if database.run(count) != str(total):
                sys.exit("COPY did not bring all rows back")
            line = ", ".join(f"{name} {total / seconds[-1]:.0f}" for name, seconds in times.items())
            print(f"round {index + 1}: {line} rows/s", flush=True)
    finally:
        gateway.terminate()
        gateway.wait(30)
        shutil.rmtree(state, ignore_errors=True)

    print(f"{os.cpu_count()} cores, sender included; {', '.join(DURABILITY)} on; medians of {arguments.rounds} rounds")
    for name, seconds in times.items():
        ratios = [own / other for own, other in zip(times["gateway"], seconds)]
        ratio = "" if name == "gateway" else f"   the gateway takes {statistics.median(ratios):.2f} times as long"
        print(f"{name:20} {total / statistics.median(seconds):10.0f} rows/s{ratio}")
    per_row = gateway_cpu / total / arguments.rounds * 1e6
    print(f"gateway process: {per_row:.2f} us of CPU a row; {sent / total:.0f} bytes a row on the wire")


def export(database: Database, folder: pathlib.Path) -> tuple[dict[str, str], dict[str, list[pathlib.Path]]]:
    """The rows that arrived as binary COPY files, two to each table, and the columns that are in them."""
    columns, files = {}, {}
    for table in TABLES:
        names = columns[table] = database.run(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            f" WHERE attrelid = '{table}'::regclass AND attnum > 0 AND attname <> 'recorded_at'"
        )
        files[table] = [folder / f"{table}.{part}" for part in range(2)]
        for part, file in enumerate(files[table]):
            database.run(
                f"\\copy (SELECT {names} FROM {table} WHERE sequence % 2 = {part} ORDER BY robot, sequence)"
                f" TO '{file}' (FORMAT binary)"
            )
    return columns, files


def cpu(pid: int) -> float:
    """Seconds of CPU that a process used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
