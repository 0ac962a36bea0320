"""What one bad participant of a fleet does, for some seconds: `offenders.py CONFIG NAME SECONDS`; used by beside.py.

CONFIG is a JSON file: ports, certificates and a request that fits the workers' checkpoint. Prints one line of JSON: `said`,
what it was told and how often.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import pathlib
import ssl
import struct
import subprocess
import sys
import threading
import time
import uuid

import grpc
from wire import *  # noqa: F403: frame kinds and flags

INFER, DESCRIBE = "/groot.v1.Inference/Infer", "/groot.v1.Inference/Describe"
FLEET = "/groot.v1.Fleet/"
EPISODE = "7d0f4f2e-3f43-4f0e-9d8b-1c0b6f1f2a10"
SAID: collections.Counter = collections.Counter()


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def text(number: int, value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def framed(message: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(message)) + message


class Fleet:
    def __init__(self, path: str) -> None:
        self.config = json.loads(pathlib.Path(path).read_text())
        self.port = self.config["gateway"]
        self.request = pathlib.Path(self.config["request"]).read_bytes()

    def channel(self, who: str, port: int | None = None) -> grpc.Channel:
        read = lambda path: pathlib.Path(path).read_bytes()
        certificate, key = self.config["certificates"][who]
        credentials = grpc.ssl_channel_credentials(read(self.config["authority"]), read(key), read(certificate))
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 25)]
        return grpc.secure_channel(f"localhost:{port or self.port}", credentials, options)

    def peer(self, who: str) -> Peer:
        """A connection that speaks HTTP/2 frame by frame."""
        context = ssl.create_default_context(cafile=self.config["authority"])
        context.load_cert_chain(*self.config["certificates"][who])
        context.set_alpn_protocols(["h2"])
        return Peer(self.port, 5, tls=context)

    def admin(self, port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def call(channel: grpc.Channel, path: str, message: bytes, metadata=(), timeout: float = 5) -> str:
    """Makes a call and notes what was said."""
    method = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    try:
        method(message, timeout=timeout, metadata=metadata)
        said = "OK"
    except grpc.RpcError as error:
        said = error.code().name
    SAID[said] += 1
    return said


def head(peer: Peer, path: str, *extra: tuple[str, str], content_type: str = "application/grpc") -> bytes:
    fields = (("content-type", content_type), ("te", "trailers"), ("grpc-timeout", "60S"), *extra)
    return peer.headers(*fields, method="POST", path=path)


def opens(fleet: Fleet, who: str, path: str, count: int, *extra, body: bytes | None = None, connections: int = 1):
    """Streams that never end, opened again when they are refused."""
    peers = [fleet.peer(who) for _ in range(connections)]
    streams = [1] * connections
    while True:
        for index, peer in enumerate(peers):
            if peer.closed:
                SAID["closed"] += 1
                peers[index], streams[index] = fleet.peer(who), 1
                continue
            for _ in range(count):
                peer.send(frame(HEADERS, END_HEADERS, streams[index], head(peer, path, *extra)))
                if body is not None:
                    peer.send(frame(DATA, END_STREAM, streams[index], body))
                streams[index] += 2
                SAID["opened"] += 1
            # What is refused is read, so that nothing piles up.
            until = time.monotonic() + 0.2
            while (found := peer.next(until)) is not None:
                if hasattr(found, "fields"):
                    SAID["status " + dict(found.fields).get("grpc-status", "-")] += 1
        time.sleep(0.2)


# ---- Those who ask ----------------------------------------------------------------------------------------------

def header_only(fleet: Fleet) -> None:
    opens(fleet, "bad", INFER, 9, ("groot-robot", "bad"), ("groot-observation", "1"))


def slow_uploads(fleet: Fleet) -> None:
    """24 honest robots whose uploads take two seconds."""
    def robot(name: str) -> None:
        while True:
            peer = fleet.peer("operator")
            peer.send(frame(HEADERS, END_HEADERS, 1, head(peer, INFER, ("groot-robot", name))))
            body = framed(fleet.request + text(1, name))
            for index in range(20):
                part = body[len(body) * index // 20 : len(body) * (index + 1) // 20]
                peer.send(frame(DATA, END_STREAM if index == 19 else 0, 1, part))
                time.sleep(0.1)
            found = peer.until(lambda f: hasattr(f, "fields") and "grpc-status" in dict(f.fields))
            SAID["status " + (dict(found.fields)["grpc-status"] if found else "none")] += 1
            peer.close()

    threads = [threading.Thread(target=robot, args=(f"slow{n}",), daemon=True) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def large_headers(fleet: Fleet) -> None:
    with fleet.channel("bad") as channel:
        while True:
            for size in (16_000, 20_000, 40_000, 59_000):
                call(channel, INFER, fleet.request, [(f"x-{n}", "h" * 1000) for n in range(size // 1000)])
            call(channel, INFER, fleet.request, [("groot-request-id", "i" * 15_000)])


def claims(fleet: Fleet) -> None:
    """Sizes and names that nobody has."""
    most = (1 << 32) - 1
    image = lambda kind, width, height: text(8, text(1, "observation.images.a") + number(2, kind)
                                             + number(3, width) + number(4, height) + text(5, b"\xff\xd8\xff"))
    bodies = [
        *(fleet.request + image(kind, width, height) for kind in (0, 1, 2, 9) for width, height in ((most, most), (most, 1), (1 << 31, 2))),
        fleet.request + b"".join(text(9, f"joint_{n}") for n in range(2000)),
        fleet.request + text(3, "c" * 15_000), fleet.request + text(3, "c" * 200_000), fleet.request + text(1, "r" * 200_000),
        fleet.request + text(8, b"") * 100_000, fleet.request + text(7, "t" * 200_000), fleet.request + number(12, most),
        fleet.request + text(11, number(1, most) + number(2, most)), b"\xff" * 1000, fleet.request[:-3],
    ]  # fmt: skip
    with fleet.channel("bad") as channel:
        while True:
            for body in bodies:
                call(channel, INFER, body)
            for name in ("c" * 15_000, "\x1b[31m".replace("\x1b", "%1B"), "%" * 5000):
                call(channel, INFER, fleet.request, [("groot-checkpoint", name)])


def shapes(fleet: Fleet) -> None:
    """Content types that workers do not speak, bodies that are none, and one that is too large."""
    kinds = ["application/grpc-web", "application/grpc-web+proto", "application/grpc+json", "application/grpc; charset=utf-8", "text/html", ""]
    bodies = [b"", b"\0", b"\0\0\0\0\x09\x01", b"\0\0\0\0\x01\x01\x01", b"\0\x7f\0\0\0\x01", b"\1\0\0\0\x01\x01"]
    while True:
        for kind in kinds:
            peer = fleet.peer("bad")
            peer.send(frame(HEADERS, END_HEADERS, 1, head(peer, INFER, content_type=kind)))
            peer.send(frame(DATA, END_STREAM, 1, framed(fleet.request)))
            found = peer.until(lambda f: hasattr(f, "fields"))
            SAID["http " + (dict(found.fields)[":status"] if found else "none")] += 1
            peer.close()
        for body in bodies:
            peer = fleet.peer("bad")
            peer.send(frame(HEADERS, END_HEADERS, 1, head(peer, INFER)) + frame(DATA, END_STREAM, 1, body))
            found = peer.until(lambda f: hasattr(f, "fields"))
            SAID["status " + (dict(found.fields).get("grpc-status", "none") if found else "none")] += 1
            peer.close()
        with fleet.channel("bad") as channel:
            call(channel, INFER, b"\0" * (17 << 20))


def body_of_another(fleet: Fleet) -> None:
    """The metadata says who it is, the body that it is an honest robot, with a newer observation."""
    with fleet.channel("bad") as channel:
        while True:
            for name in fleet.config["honest"]:
                call(channel, INFER, fleet.request + text(1, name) + number(4, 1 << 40), [("groot-robot", "bad")])
                call(channel, INFER, fleet.request + text(1, name), [("groot-robot", name)])


def poison(fleet: Fleet) -> None:
    """A state with which the model fails, and every other robot's row of the batch with it."""
    body = pathlib.Path(fleet.config["poisoned"]).read_bytes()
    with fleet.channel("bad") as channel:
        while True:
            call(channel, INFER, body)


# ---- Those who report -------------------------------------------------------------------------------------------

def event(sequence: int, message: str | bytes = "all well", clock: int | None = None, episode: str = EPISODE) -> bytes:
    at = int(time.time() * 1e9) if clock is None else clock
    return text(5, number(1, sequence) + text(2, episode) + number(3, at) + text(4, "operator") + text(5, "note") + text(6, message))


def forged(fleet: Fleet) -> None:
    """A worker's certificate, and a robot with another one's name or episode."""
    honest = fleet.config["honest"][0]
    start = text(1, str(uuid.uuid4())) + text(2, honest) + text(3, "b") + text(4, "task") + text(8, "async")
    finish = text(1, EPISODE) + text(2, honest) + number(3, 1)
    report = text(1, honest) + text(2, "b") + event(1)
    with fleet.channel("w1") as worker, fleet.channel("bad") as robot:
        while True:
            for channel in (worker, robot):
                for method, body in (("StartEpisode", start), ("FinishEpisode", finish), ("ReportTelemetry", report),
                                     ("RegisterRobot", text(1, honest) + text(2, "b"))):  # fmt: skip
                    call(channel, FLEET + method, body)
                    call(channel, FLEET + method, body, [("groot-robot", honest)])
            call(robot, FLEET + "RegisterWorker", text(1, "w1") + text(2, "127.0.0.1:1") + number(3, 1))
            call(worker, INFER, fleet.request, [("groot-robot", honest)])


def unfinished_control(fleet: Fleet) -> None:
    """480 calls that never say what they want, of many names."""
    def flood(index: int) -> None:
        opens(fleet, "operator", FLEET + ("RegisterRobot" if index % 2 else "RegisterWorker"), 60, ("groot-robot", f"evil{index}"))

    threads = [threading.Thread(target=flood, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def texts(fleet: Fleet) -> None:
    """A clock of 1970, colours, keys and broken UTF-8: all of it is taken."""
    notes = ["x" * 2049, "\x1b[31mred\x1b[0m", "\x1b[A\x1b[D note", "\0", b"\xff\xfe broken", "é" * 3000]
    sequence = 0
    with fleet.channel("bad") as channel:
        while True:
            report = text(1, "bad") + text(2, "b1")
            for note in notes:
                for clock in (None, 0, -1, 12345, (1 << 63) - 1):
                    sequence += 1
                    report += event(sequence, note, clock)
            call(channel, FLEET + "ReportTelemetry", report)
            time.sleep(1)


def telemetry_rows(fleet: Fleet) -> None:
    report = text(1, "bad") + text(2, "b2") + b"".join(event(n) for n in range(4000))
    with fleet.channel("bad") as channel:
        while True:
            call(channel, FLEET + "ReportTelemetry", report)


def telemetry_bytes(fleet: Fleet) -> None:
    picture = text(2, EPISODE) + text(3, "head") + number(4, int(time.time() * 1e9)) + text(5, b"\xff\xd8\xff" + b"j" * 30_000)
    report = text(1, "bulk") + text(2, "b3") + b"".join(text(7, number(1, n) + picture) for n in range(1, 101))
    with fleet.channel("operator") as channel:
        while True:
            call(channel, FLEET + "ReportTelemetry", report, [("groot-robot", "bulk")])


def empty_records(fleet: Fleet) -> None:
    """Two bytes a record: what that would be in memory."""
    with fleet.channel("bad") as channel:
        while True:
            call(channel, FLEET + "ReportTelemetry", text(1, "bad") + text(2, "b4") + b"\x1a\x00" * 2_000_000)


# ---- Budgets of one certificate ---------------------------------------------------------------------------------

def many_connections(fleet: Fleet) -> None:
    kept = []
    while True:
        for _ in range(20):
            try:
                kept.append(fleet.peer("bad"))
                SAID["open" if not kept[-1].closed else "closed"] += 1
            except OSError:
                SAID["closed"] += 1
        time.sleep(0.2)
        kept = kept[-40:]


def many_streams(fleet: Fleet) -> None:
    opens(fleet, "bad", "/grpc.health.v1.Health/Watch", 10, body=b"\0" * 5, connections=2)


def many_calls(fleet: Fleet) -> None:
    opens(fleet, "operator", "/grpc.health.v1.Health/Watch", 10, body=b"\0" * 5)


# ---- Those who answer -------------------------------------------------------------------------------------------

class BadWorker(grpc.GenericRpcHandler):
    """Healthy, describes itself as a good one does, and answers as it is told."""

    def __init__(self, fleet: Fleet, answer) -> None:
        with fleet.channel("gateway", fleet.config["workers"][0]) as channel:
            method = channel.unary_unary(DESCRIBE, request_serializer=bytes, response_deserializer=bytes)
            self.description = method(b"", timeout=10)
        self.answer = answer

    def service(self, details):
        path = details.method
        handle = lambda function: grpc.unary_unary_rpc_method_handler(function, bytes, bytes)
        if path == INFER:
            return handle(self.answer)
        if path == DESCRIBE:
            return handle(lambda request, context: self.description)
        return handle(lambda request, context: b"\x08\x01")


def bad_worker(fleet: Fleet, answer) -> None:
    from concurrent import futures

    read = lambda path: pathlib.Path(path).read_bytes()
    certificate, key = fleet.config["certificates"]["w9"]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers([BadWorker(fleet, answer)])
    credentials = grpc.ssl_server_credentials([(read(key), read(certificate))], read(fleet.config["authority"]), True)
    server.add_secure_port(f"127.0.0.1:{fleet.config['bad_worker']}", credentials)
    server.start()
    server.wait_for_termination()


def hanging_worker(fleet: Fleet) -> None:
    def answer(request, context):
        SAID["asked"] += 1
        while context.is_active():
            time.sleep(0.05)
        return b""

    bad_worker(fleet, answer)


def failing_worker(fleet: Fleet) -> None:
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    notes = ["", "x" * 5000, "\x1b[31m colours \r\n", "%", "é" * 1000]

    def answer(request, context):
        SAID["asked"] += 1
        turn = SAID["asked"]
        # Every other time it says that all is well, with a body that is no answer.
        if turn % 4 == 0:
            return b"\xff" * 100
        context.abort(codes[turn % len(codes)], notes[turn % len(notes)])

    bad_worker(fleet, answer)


# ---- Those who operate ------------------------------------------------------------------------------------------

def hostile_checkpoints(fleet: Fleet) -> None:
    """Loads of what is none, into a worker that serves."""
    root = pathlib.Path(fleet.config["checkpoints"])
    config = pathlib.Path(fleet.config["checkpoint"], "config.json").read_bytes()
    model = pathlib.Path(fleet.config["checkpoint"], "model.onnx").read_bytes()

    def made(name: str, **files) -> str:
        folder = root / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_bytes(config)
        for file, data in files.items():
            (folder / file.replace("_", ".", 1)).write_bytes(data)
        return str(folder)

    def tensors(header: dict) -> bytes:
        data = json.dumps(header).encode()
        return struct.pack("<Q", len(data)) + data

    folders = [
        made("negative", model_safetensors=tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-8, -4]}})),
        made("huge", model_safetensors=tensors({"a": {"dtype": "F32", "shape": [1 << 32, 1 << 32], "data_offsets": [0, 4]}})),
        made("square", model_safetensors=tensors({"a": {"dtype": "F32", "shape": [600_000, 600_000], "data_offsets": [0, 4]}})),
        made("long", model_safetensors=struct.pack("<Q", 1 << 63) + b"{}"),
        made("cut", model_onnx=model[: len(model) // 2]), made("noise", model_onnx=os.urandom(5000)),
        str(root / "nowhere"), "/etc", "../..",
    ]  # fmt: skip
    fifo = root / "fifo"
    fifo.mkdir(exist_ok=True)
    (fifo / "config.json").write_bytes(config)
    if not (fifo / "model.onnx").exists():
        os.mkfifo(fifo / "model.onnx")
    sparse = root / "sparse"
    sparse.mkdir(exist_ok=True)
    (sparse / "model.onnx").write_bytes(model)
    with open(sparse / "config.json", "wb") as file:
        file.truncate(3 << 30)
    while True:
        for folder in [*folders, str(fifo), str(sparse)]:
            status, _ = fleet.admin(fleet.config["worker_admins"][0], "POST", "/checkpoints", json.dumps({"directory": folder}))
            SAID[f"http {status}"] += 1
            time.sleep(0.1)


def database(fleet: Fleet) -> None:
    """Rights go, the schema goes, the server writes no more."""
    def run(sql: str) -> None:
        done = subprocess.run([fleet.config["psql"], "-X", "-q", "-c", sql], capture_output=True, text=True, check=False)
        SAID["done" if done.returncode == 0 else done.stderr[:100]] += 1

    for statement in ("ALTER TABLE events RENAME TO elsewhere", "ALTER SYSTEM SET default_transaction_read_only = on",
                      "SELECT pg_reload_conf()"):  # fmt: skip
        run(statement)
        time.sleep(0.3)
    while True:
        with fleet.channel("bad") as channel:
            call(channel, FLEET + "ReportTelemetry", text(1, "bad") + text(2, "b5") + event(1))


OFFENCES = {
    function.__name__.replace("_", "-"): function
    for function in (
        header_only, slow_uploads, hanging_worker, failing_worker, large_headers, claims, shapes, body_of_another, forged,
        unfinished_control, texts, poison, hostile_checkpoints, many_connections, many_streams, many_calls, telemetry_rows,
        telemetry_bytes, empty_records, database,
    )  # fmt: skip
}


def main() -> None:
    fleet = Fleet(sys.argv[1])
    offence = threading.Thread(target=OFFENCES[sys.argv[2]], args=(fleet,), daemon=True)
    print("begins", flush=True)
    offence.start()
    offence.join(float(sys.argv[3]))
    print(json.dumps({"said": dict(SAID)}), flush=True)
    # What is open stays open to the last moment, and ends as a crash does.
    os._exit(0)


if __name__ == "__main__":
    main()
