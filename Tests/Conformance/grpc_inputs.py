"""Calls as no gRPC library makes them, for a gRPC server in front of which nobody stands: `grpc_inputs.py PORT [WORD...]`.

Every value of `grpc-timeout` and other metadata, every way to frame a message and to end a stream; after each of them a
proper health check on a new connection is answered SERVING. Prints what failed and a count; exits 1 when anything did.
"""

from __future__ import annotations

import struct
import sys

from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame
from wire import *  # noqa: F403: frame kinds and flags

HEALTH = "/grpc.health.v1.Health/Check"
INFER = "/groot.v1.Inference/Infer"
DESCRIBE = "/groot.v1.Inference/Describe"
OPEN = END_HEADERS
WHOLE = END_HEADERS | END_STREAM
EMPTY = b"\0" * 5
TIMEOUTS = [
    "-1S", "-1n", "-0S", "-99999999S", "-9999999H", "+1S", "0S", "0n", "1n", "9999999H", "99999999H", "9999999M",
    "99999999n", "1H", "S", "", "1", "1s", "1.5S", "1e3S", "0x1S", " 1S", "1 S", "1S ", "999999999S", "184467440737095516S",
    "٣S", "1µ", "NaNS", "nullS", "-S", "--1S", "1S,2S",
]  # fmt: skip
FRAMES = {
    "no message": b"",
    "half a prefix": b"\0\0",
    "a length of 2^32 - 1": b"\0" + struct.pack(">I", 2**32 - 1),
    "a length of 2^31": b"\0" + struct.pack(">I", 2**31),
    "a length above the limit": b"\0" + struct.pack(">I", (16 << 20) + 1),
    "less than announced": b"\0" + struct.pack(">I", 100) + b"abc",
    "the compressed flag without an encoding": b"\1" + struct.pack(">I", 3) + b"abc",
    "an unknown flag": b"\xff" + struct.pack(">I", 0),
    "two messages": EMPTY * 2,
    "1000 messages": EMPTY * 1000,
    "bytes behind the message": EMPTY + b"\0",
    "no protobuf": b"\0" + struct.pack(">I", 4) + b"\xff" * 4,
    "broken UTF-8 in every text": b"\0" + struct.pack(">I", 8) + b"\x0a\x02\xff\xfe\x12\x02\xc3\x28",
    "a group that never ends": b"\0" + struct.pack(">I", 4) + b"\x0b" * 4,
    "ten thousand groups": b"\0" + struct.pack(">I", 10_000) + b"\x0b" * 10_000,
}
ENCODINGS = ["gzip", "deflate", "identity", "br", "", "gzip,gzip", "\x7f", "x" * 8000]
PATHS = ["", "/", "//", "///", "*", "/groot.v1.Inference", "/groot.v1.Inference/", "groot.v1.Inference/Infer",
         "/groot.v1.Inference/Infer/", "/groot.v1.Inference/infer", "/" + "a" * 8000, "/%2e%2e/x", "/a b/c"]  # fmt: skip
METADATA = [
    ("x-bin", "!"), ("x-bin", "a"), ("x-bin", "ab"), ("x-bin", "abc"), ("x-bin", "===="), ("x-bin", "a==="), ("x-bin", ""),
    ("x-bin", "YQ==YQ=="), ("x-bin", "A" * 8001), ("-bin", "YQ=="), ("grpc-timeout-bin", "LTFT"), ("groot-robot", ""),
    ("groot-runway-ms", "-1"), ("groot-runway-ms", "9" * 40), ("groot-action-period-ms", "0"), ("groot-peer", "robot/"),
    ("groot-observation", "-1"), ("grpc-accept-encoding", "gzip"), ("grpc-status", "0"), ("grpc-message", "%"),
    ("grpc-previous-rpc-attempts", "-1"), ("te", "gzip"), ("content-length", "1"), ("cookie", "a=b; c=d"),
    ("content-type", "application/grpc-web"), ("content-type", "application/grpc;a=b"),
]  # fmt: skip
CASES: list[tuple[str, object]] = []


def grpc(p: Peer, path: str = HEALTH, *extra: tuple[str, str], content_type: str = "application/grpc") -> bytes:
    fields = (("content-type", content_type), ("te", "trailers"))
    return p.headers(*fields, *extra, method="POST", path=path)


def call(p: Peer, block: bytes, data: bytes = EMPTY, flags: int = OPEN, stream: int = 1) -> bytes:
    return frame(HEADERS, flags, stream, block) + (b"" if flags & END_STREAM else frame(DATA, END_STREAM, stream, data))


def add(title: str, build) -> None:
    CASES.append((title, build))


for text in TIMEOUTS:
    for path in (HEALTH, INFER, DESCRIBE, "/no.Service/Method"):
        add(f"grpc-timeout {text!r} to {path}", lambda p, t=text, a=path: call(p, grpc(p, a, ("grpc-timeout", t))))
add("two grpc-timeouts", lambda p: call(p, grpc(p, INFER, ("grpc-timeout", "1S"), ("grpc-timeout", "-1S"))))
add("two grpc-timeouts, the first broken", lambda p: call(p, grpc(p, INFER, ("grpc-timeout", "-1S"), ("grpc-timeout", "1S"))))
for name, data in FRAMES.items():
    for path in (HEALTH, INFER, DESCRIBE):
        add(f"{name} to {path}", lambda p, d=data, a=path: call(p, grpc(p, a), d))
for text in ENCODINGS:
    for data in (EMPTY, FRAMES["the compressed flag without an encoding"]):
        add(f"grpc-encoding {text[:20]!r}", lambda p, t=text, d=data: call(p, grpc(p, INFER, ("grpc-encoding", t)), d))
for text in PATHS:
    add(f"path {text[:30]!r}", lambda p, t=text: call(p, grpc(p, t)))
for key, text in METADATA:
    add(f"{key}: {text[:20]!r}", lambda p, k=key, t=text: call(p, grpc(p, INFER, (k, t))))
for method in ("GET", "PUT", "CONNECT", "OPTIONS", ""):
    add(f"method {method!r}", lambda p, m=method: call(p, p.headers(("content-type", "application/grpc"), method=m, path=INFER)))
for path in (HEALTH, INFER, DESCRIBE):
    add(f"headers end the stream of {path}", lambda p, a=path: call(p, grpc(p, a), flags=WHOLE))
    add(f"headers twice to {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a)) + frame(HEADERS, WHOLE, 1, grpc(p, a)))
    add(f"trailers without end to {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a)) + frame(HEADERS, OPEN, 1, grpc(p, a)))
    add(f"reset at once, {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a)) + frame(RST, 0, 1, struct.pack(">I", 8)))
    add(f"a message byte by byte to {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a))
        + b"".join(frame(DATA, 0, 1, b"\0") for _ in range(5)) + frame(DATA, END_STREAM, 1))  # fmt: skip
    add(f"frames of length 0 to {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a))
        + frame(DATA, 0, 1) * 500 + frame(DATA, END_STREAM, 1, EMPTY))  # fmt: skip
    add(f"padding of 255 to {path}", lambda p, a=path: frame(HEADERS, OPEN, 1, grpc(p, a))
        + frame(DATA, PADDED | END_STREAM, 1, b"\xff" + EMPTY + b"\0" * 255))  # fmt: skip
    add(f"data after the end of {path}", lambda p, a=path: call(p, grpc(p, a)) + frame(DATA, END_STREAM, 1, EMPTY))


def is_end(found) -> bool:
    """The answer is over, or the stream or connection is."""
    if isinstance(found, HeadersFrame):
        return "END_STREAM" in found.flags
    return isinstance(found, RstStreamFrame) or isinstance(found, GoAwayFrame)


def health(port: int) -> str | None:
    try:
        p = Peer(port, 10)
    except OSError as error:
        return f"no connection: {error}"
    p.send(call(p, grpc(p)))
    found = p.until(is_end)
    p.close()
    fields = dict(found.fields) if isinstance(found, HeadersFrame) else {}
    return None if fields.get("grpc-status") == "0" else f"a proper health check got {fields or found}; {p.summary()}"


def main() -> int:
    port, wanted = int(sys.argv[1]), sys.argv[2:]
    chosen = [(title, build) for title, build in CASES if all(word in title for word in wanted)]
    failed = 0
    for title, build in chosen:
        try:
            peer = Peer(port, 0.5)
            peer.send(build(peer))
            # Some end with an answer, some with nothing: what counts is who is asked next.
            peer.until(is_end)
            peer.close()
            problem = health(port)
        except OSError as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            failed += 1
            print(f"FAILED {title}: {problem}")
            if "no connection" in problem or "refused" in problem:
                print("nobody listens any more")
                break
    print(f"{len(chosen) - failed} of {len(chosen)} cases passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
