"""Frame-level conformance of an HTTP/2 server, written from RFC 9113 and RFC 7541: `conformance.py PORT [NAME...]`.

The ground is that of h2spec's generic, HTTP/2 and HPACK groups. Each case has a connection of its own. Prints what
failed and a count; exits 1 when anything failed.
"""

from __future__ import annotations

import struct
import sys

from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame
from wire import *  # noqa: F403: frame kinds and flags

CASES: list[tuple[str, str, object, tuple]] = []
OPEN = END_HEADERS
WHOLE = END_HEADERS | END_STREAM


def case(section: str, title: str, *pairs: tuple[int, int], greet: bool = True):
    def add(function):
        CASES.append((section, title, function, (greet, *pairs)))
        return function
    return add


def simple(section: str, title: str, payload, expect: str, *codes: str, stream: int = 1, pairs=()):
    """A case of one write and one expectation; the payload may be built from the peer (its HPACK state)."""
    def run(p: Peer):
        p.send(payload(p) if callable(payload) else payload)
        if expect in ("stream_error", "refused"):
            return getattr(p, expect)(stream, *codes)
        if expect == "connection_error":
            return p.connection_error(*codes)
        return getattr(p, expect)(stream) if expect == "answered" else p.alive()
    CASES.append((section, title, run, (True, *pairs)))


def request(p: Peer, stream: int = 1, flags: int = WHOLE, **more) -> bytes:
    return frame(HEADERS, flags, stream, p.headers(**more))


def upload(p: Peer, stream: int = 1, flags: int = OPEN, *extra: tuple[str, str]) -> bytes:
    """A gRPC request whose body is still to come, so that the stream stays open."""
    more = (("content-type", "application/grpc"), ("te", "trailers"), ("groot-robot", f"r{stream}"), *extra)
    return frame(HEADERS, flags, stream, p.headers(*more, method="POST", path="/groot.v1.Inference/Infer"))


def whole(p: Peer, stream: int = 1) -> bytes:
    """A gRPC request with an empty message."""
    return upload(p, stream) + frame(DATA, END_STREAM, stream, b"\0" * 5)


def window(increment: int) -> bytes:
    return struct.pack(">I", increment)


# ---- 3.4 connection preface -------------------------------------------------------------------------------------

@case("3.4", "the server's first frame is SETTINGS", greet=False)
def _(p):
    p.send(PREFACE + settings())
    first = p.until(lambda f: True)
    return None if isinstance(first, SettingsFrame) and "ACK" not in first.flags else f"it is {first}"


@case("3.4", "an invalid preface ends the connection", greet=False)
def _(p):
    p.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    return p.connection_error("PROTOCOL_ERROR")


@case("3.4", "HTTP/1.1 without prior knowledge ends the connection", greet=False)
def _(p):
    p.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    return p.connection_error("PROTOCOL_ERROR")


@case("3.4", "a preface in pieces is fine", greet=False)
def _(p):
    for at in range(0, len(PREFACE), 5):
        p.send(PREFACE[at : at + 5])
    p.send(settings())
    return p.alive()


@case("3.4", "a first frame that is not SETTINGS ends the connection", greet=False)
def _(p):
    p.send(PREFACE + frame(PING, 0, 0, b"12345678"))
    return p.connection_error("PROTOCOL_ERROR")


@case("3.4", "requests right behind the preface are served", greet=False)
def _(p):
    p.send(PREFACE + settings() + request(p))
    return p.answered(1)


# ---- 4 frames -----------------------------------------------------------------------------------------------------

simple("4.1", "a frame of unknown type is ignored", frame(0x16, 0, 0, b"\0" * 8), "alive")
simple("4.1", "a frame of unknown type on a stream is ignored",
       lambda p: frame(0xF0, 0xFF, 1, b"x" * 100) + request(p), "answered")
simple("4.1", "undefined flags are ignored", frame(PING, 0x16, 0, b"\0" * 8), "alive")
simple("4.1", "the reserved bit is ignored", frame(PING, 0, 0x80000000, b"\0" * 8), "alive")
simple("4.2", "DATA of 2^14 bytes is taken", lambda p: upload(p) + frame(DATA, 0, 1, b"\0" * 16384), "alive")
simple("4.2", "a frame larger than SETTINGS_MAX_FRAME_SIZE: DATA",
       lambda p: upload(p) + frame(DATA, 0, 1, length=(1 << 20)), "stream_error", "FRAME_SIZE_ERROR")
simple("4.2", "a frame larger than SETTINGS_MAX_FRAME_SIZE: HEADERS",
       frame(HEADERS, WHOLE, 1, length=(1 << 20)), "connection_error", "FRAME_SIZE_ERROR")
simple("4.2", "a frame larger than SETTINGS_MAX_FRAME_SIZE: SETTINGS",
       frame(SETTINGS, 0, 0, length=(1 << 20)), "connection_error", "FRAME_SIZE_ERROR")
simple("4.3", "a header block that does not decode", frame(HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\xff\xff"),
       "connection_error", "COMPRESSION_ERROR")
simple("4.3", "another frame inside a header block: PRIORITY",
       lambda p: frame(HEADERS, END_STREAM, 1, p.headers()) + frame(PRIORITY, 0, 3, b"\0\0\0\0\x10"),
       "connection_error", "PROTOCOL_ERROR")
simple("4.3", "another stream's HEADERS inside a header block",
       lambda p: frame(HEADERS, END_STREAM, 1, p.headers()) + request(p, 3), "connection_error", "PROTOCOL_ERROR")
simple("4.3", "an unknown frame inside a header block",
       lambda p: frame(HEADERS, END_STREAM, 1, p.headers()) + frame(0xF0, 0, 1, b"x"),
       "connection_error", "PROTOCOL_ERROR")
simple("4.3", "DATA inside a header block",
       lambda p: frame(HEADERS, 0, 1, p.headers()) + frame(DATA, 0, 1, b"x"), "connection_error", "PROTOCOL_ERROR")

# ---- 5.1 stream states --------------------------------------------------------------------------------------------

for kind, name, payload in ((DATA, "DATA", b"x"), (RST, "RST_STREAM", window(8)), (WINDOW, "WINDOW_UPDATE", window(9)),
                            (CONTINUATION, "CONTINUATION", b"")):
    simple("5.1", f"idle: {name} is an error", frame(kind, 0, 1, payload), "connection_error", "PROTOCOL_ERROR")
simple("5.1", "idle: PRIORITY is fine", frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), "alive")
simple("5.1", "half closed (remote): DATA is an error",
       lambda p: upload(p, flags=WHOLE) + frame(DATA, END_STREAM, 1, b"x"), "stream_error",
       "STREAM_CLOSED", "PROTOCOL_ERROR")
simple("5.1", "half closed (remote): HEADERS is an error",
       lambda p: upload(p, flags=WHOLE) + upload(p, flags=WHOLE), "stream_error", "STREAM_CLOSED", "PROTOCOL_ERROR")
simple("5.1", "half closed (remote): WINDOW_UPDATE and PRIORITY are fine",
       lambda p: upload(p, flags=WHOLE) + frame(WINDOW, 0, 1, window(5)) + frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
       "alive")
simple("5.1", "half closed (remote): CONTINUATION is an error",
       lambda p: upload(p, flags=WHOLE) + frame(CONTINUATION, END_HEADERS, 1, b""),
       "connection_error", "PROTOCOL_ERROR", "STREAM_CLOSED")


def closed(section, title, tail, *codes, by_reset=True, ignoring=False):
    """Frames on a stream that is closed: an error, or ignored where RFC 9113 allows that."""
    @case(section, title)
    def _(p):
        if by_reset:
            p.send(upload(p) + frame(RST, 0, 1, window(8)))
        else:
            p.send(request(p))
            p.until(lambda f: f.stream_id == 1 and "END_STREAM" in f.flags)
        p.send(tail(p))
        if not ignoring:
            return p.stream_error(1, *codes)
        return p.alive() and p.connection_error(*codes)


for reset, how in ((True, "closed by RST_STREAM"), (False, "closed by END_STREAM")):
    closed("5.1", f"{how}: DATA harms nothing", lambda p: frame(DATA, END_STREAM, 1, b"x"), "STREAM_CLOSED",
           by_reset=reset, ignoring=True)
    closed("5.1", f"{how}: CONTINUATION is an error", lambda p: frame(CONTINUATION, END_HEADERS, 1, b""),
           "STREAM_CLOSED", "PROTOCOL_ERROR", by_reset=reset)
    closed("5.1", f"{how}: PRIORITY, WINDOW_UPDATE and RST_STREAM are fine",
           lambda p: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10") + frame(WINDOW, 0, 1, window(5)) + frame(RST, 0, 1, window(8)),
           by_reset=reset, ignoring=True)
closed("5.1", "closed by END_STREAM: HEADERS harm nothing", lambda p: request(p), "STREAM_CLOSED", "PROTOCOL_ERROR",
       by_reset=False, ignoring=True)

simple("5.1.1", "an even stream identifier", lambda p: request(p, 2), "connection_error", "PROTOCOL_ERROR")


@case("5.1.1", "a stream identifier below one that was opened")
def _(p):
    p.send(upload(p, 5))
    p.send(request(p, 3))
    # nghttp2 takes it for a stream closed long ago, which may be ignored; it must not be served.
    found = p.until(lambda f: isinstance(f, GoAwayFrame) or isinstance(f, HeadersFrame) and f.stream_id == 3)
    if isinstance(found, HeadersFrame):
        return "it was served"
    return None if found or p.closed else p.alive()


@case("5.1.2", "streams over SETTINGS_MAX_CONCURRENT_STREAMS are refused")
def _(p):
    limit = next(f for f in p.seen if isinstance(f, SettingsFrame)).settings.get(3, 100)
    p.send(b"".join(upload(p, 1 + 2 * i) for i in range(limit + 1)))
    return p.stream_error(1 + 2 * limit, "REFUSED_STREAM", "PROTOCOL_ERROR")


simple("5.3.1", "HEADERS that depend on themselves",
       lambda p: frame(HEADERS, WHOLE | WITH_PRIORITY, 1, struct.pack(">IB", 1, 10) + p.headers()), "stream_error")
simple("5.3.1", "HEADERS with a priority are served",
       lambda p: frame(HEADERS, WHOLE | WITH_PRIORITY, 1, struct.pack(">IB", 0x80000000, 255) + p.headers()), "answered")


@case("5.4.1", "after a connection error the connection closes")
def _(p):
    p.send(frame(DATA, 0, 0, b"x"))
    p.until(lambda f: isinstance(f, GoAwayFrame))
    p.until(lambda f: False)
    return None if p.closed else "it stays open"


@case("5.4.1", "GOAWAY names the last stream that was taken")
def _(p):
    p.send(upload(p, 7))
    p.alive()
    p.send(frame(DATA, 0, 0, b"x"))
    found = p.until(lambda f: isinstance(f, GoAwayFrame))
    return None if found and found.last_stream_id == 7 else f"GOAWAY is {found}"


simple("5.5", "an extension frame between requests is ignored",
       lambda p: frame(0xBE, 0, 0, b"grease") + request(p), "answered")
simple("5.5", "an unknown SETTINGS parameter is ignored", settings((0x4A4A, 7)), "alive")

# ---- 6 frame definitions ------------------------------------------------------------------------------------------

simple("6.1", "DATA on stream 0", frame(DATA, 0, 0, b"x"), "connection_error", "PROTOCOL_ERROR")
simple("6.1", "DATA with padding is taken",
       lambda p: upload(p) + frame(DATA, PADDED, 1, b"\x03abc\0\0\0"), "alive")
simple("6.1", "DATA whose padding is as long as its payload",
       lambda p: upload(p) + frame(DATA, PADDED | END_STREAM, 1, b"\x06\0\0\0\0\0"), "connection_error", "PROTOCOL_ERROR")
simple("6.1", "padded DATA without the length of its padding",
       lambda p: upload(p) + frame(DATA, PADDED, 1, b""), "connection_error", "FRAME_SIZE_ERROR", "PROTOCOL_ERROR")
simple("6.2", "HEADERS on stream 0", lambda p: request(p, 0), "connection_error", "PROTOCOL_ERROR")
simple("6.2", "HEADERS with padding are served",
       lambda p: frame(HEADERS, WHOLE | PADDED, 1, b"\x04" + p.headers() + b"\0" * 4), "answered")
simple("6.2", "HEADERS whose padding is too long",
       lambda p: frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + p.headers()), "connection_error", "PROTOCOL_ERROR")
simple("6.2", "HEADERS too short for their priority",
       frame(HEADERS, WHOLE | WITH_PRIORITY, 1, b"\0\0"), "connection_error", "FRAME_SIZE_ERROR", "PROTOCOL_ERROR")
simple("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, b"\0\0\0\0\x10"), "connection_error", "PROTOCOL_ERROR")
simple("6.3", "PRIORITY of four bytes", lambda p: upload(p) + frame(PRIORITY, 0, 1, b"\0\0\0\0"), "stream_error",
       "FRAME_SIZE_ERROR")
simple("6.4", "RST_STREAM on stream 0", frame(RST, 0, 0, window(8)), "connection_error", "PROTOCOL_ERROR")
simple("6.4", "RST_STREAM of three bytes", lambda p: upload(p) + frame(RST, 0, 1, b"\0\0\0"), "connection_error",
       "FRAME_SIZE_ERROR")
simple("6.4", "RST_STREAM of five bytes", lambda p: upload(p) + frame(RST, 0, 1, b"\0" * 5), "connection_error",
       "FRAME_SIZE_ERROR")
simple("6.4", "after RST_STREAM the connection serves on",
       lambda p: upload(p) + frame(RST, 0, 1, window(8)) + request(p, 3), "answered", stream=3)
simple("6.5", "SETTINGS ACK with a payload", frame(SETTINGS, ACK, 0, b"\0" * 6), "connection_error", "FRAME_SIZE_ERROR")
simple("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), "connection_error", "PROTOCOL_ERROR")
for length in (1, 3, 5, 7):
    simple("6.5", f"SETTINGS of {length} bytes", frame(SETTINGS, 0, 0, b"\0" * length), "connection_error",
           "FRAME_SIZE_ERROR")
simple("6.5.2", "SETTINGS_ENABLE_PUSH of 2", settings((2, 2)), "connection_error", "PROTOCOL_ERROR")
simple("6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1", settings((4, 0x80000000)), "connection_error",
       "FLOW_CONTROL_ERROR")
simple("6.5.2", "SETTINGS_MAX_FRAME_SIZE below 2^14", settings((5, 16383)), "connection_error", "PROTOCOL_ERROR")
simple("6.5.2", "SETTINGS_MAX_FRAME_SIZE over 2^24-1", settings((5, 1 << 24)), "connection_error", "PROTOCOL_ERROR")
for key, value in ((1, 0), (1, 65536), (2, 0), (3, 0), (4, 0), (4, 0x7FFFFFFF), (5, 16384), (5, (1 << 24) - 1), (6, 0)):
    simple("6.5.2", f"parameter {key} may be {value}", settings((key, value)), "alive")


@case("6.5.3", "the last of several values counts, and each frame is acknowledged")
def _(p):
    p.send(settings((4, 1), (4, 65535)) + settings((3, 5)))
    acks = sum(p.until(lambda f: isinstance(f, SettingsFrame) and "ACK" in f.flags) is not None for _ in range(2))
    return None if acks == 2 else f"{acks} acknowledgements"


simple("6.6", "PUSH_PROMISE from a client", lambda p: upload(p) + frame(PUSH, END_HEADERS, 1, window(2) + p.headers()),
       "connection_error", "PROTOCOL_ERROR")


@case("6.7", "PING is answered with its payload")
def _(p):
    p.send(frame(PING, 0, 0, b"\x01\x02\x03\x04\x05\x06\x07\x08"))
    found = p.until(lambda f: isinstance(f, PingFrame) and "ACK" in f.flags)
    return None if found and found.opaque_data == b"\x01\x02\x03\x04\x05\x06\x07\x08" else f"it is {found}"


@case("6.7", "a PING ACK is not answered")
def _(p):
    p.send(frame(PING, ACK, 0, b"invalid!"))
    p.send(frame(PING, 0, 0, b"question"))
    found = p.until(lambda f: isinstance(f, PingFrame))
    return None if found and found.opaque_data == b"question" else f"it is {found}"


simple("6.7", "PING on a stream", frame(PING, 0, 1, b"\0" * 8), "connection_error", "PROTOCOL_ERROR")
for length in (0, 7, 9):
    simple("6.7", f"PING of {length} bytes", frame(PING, 0, 0, b"\0" * length), "connection_error", "FRAME_SIZE_ERROR")
simple("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, b"\0" * 8), "connection_error", "PROTOCOL_ERROR")
simple("6.8", "GOAWAY of seven bytes", frame(GOAWAY, 0, 0, b"\0" * 7), "connection_error", "FRAME_SIZE_ERROR")


@case("6.8", "after a client's GOAWAY its open streams are still answered")
def _(p):
    p.send(upload(p) + frame(GOAWAY, 0, 0, b"\0" * 8) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\0"))
    return p.answered(1)


@case("6.9", "no more is sent than the stream's window allows", (4, 1))
def _(p):
    p.send(whole(p))
    first = p.until(lambda f: isinstance(f, DataFrame))
    if not first or len(first.data) != 1:
        return f"first DATA is {first}"
    p.send(frame(WINDOW, 0, 1, window(1)))
    second = p.until(lambda f: isinstance(f, DataFrame))
    return None if second and len(second.data) == 1 else f"second DATA is {second}"


@case("6.9", "a window that SETTINGS makes negative is waited out", (4, 1))
def _(p):
    p.send(whole(p))
    p.until(lambda f: isinstance(f, DataFrame))
    p.send(settings((4, 0)) + frame(WINDOW, 0, 1, window(2)))
    found = p.until(lambda f: isinstance(f, DataFrame))
    return None if found and len(found.data) == 1 else f"DATA is {found}"


@case("6.9", "SETTINGS open the windows of streams that wait", (4, 0))
def _(p):
    p.send(whole(p))
    p.until(lambda f: isinstance(f, HeadersFrame))
    p.send(settings((4, 1)))
    found = p.until(lambda f: isinstance(f, DataFrame))
    return None if found and len(found.data) == 1 else f"DATA is {found}"


simple("6.9", "WINDOW_UPDATE of 0 on the connection", frame(WINDOW, 0, 0, window(0)), "connection_error", "PROTOCOL_ERROR")
simple("6.9", "WINDOW_UPDATE of 0 on a stream", lambda p: upload(p) + frame(WINDOW, 0, 1, window(0)), "stream_error",
       "PROTOCOL_ERROR")
simple("6.9", "WINDOW_UPDATE of three bytes", frame(WINDOW, 0, 0, b"\0\0\1"), "connection_error", "FRAME_SIZE_ERROR")
simple("6.9.1", "the connection's window over 2^31-1", frame(WINDOW, 0, 0, window(0x7FFFFFFF)) * 2,
       "connection_error", "FLOW_CONTROL_ERROR")
simple("6.9.1", "a stream's window over 2^31-1",
       lambda p: upload(p) + frame(WINDOW, 0, 1, window(0x7FFFFFFF)) * 2, "stream_error", "FLOW_CONTROL_ERROR")
# The RFC asks for a connection error; nghttp2 resets the streams concerned, which harms nobody else.
simple("6.9.2", "SETTINGS that push a stream's window over 2^31-1",
       lambda p: upload(p) + frame(WINDOW, 0, 1, window(0x7FFFFFFF - 65535)) + settings((4, 0x7FFFFFFF)),
       "stream_error", "FLOW_CONTROL_ERROR")


@case("6.9.1", "a client that ignores our window")
def _(p):
    offered = next(f for f in p.seen if isinstance(f, SettingsFrame)).settings.get(4, 65535)
    # The robot's upload is never consumed beyond the window: the stream's request is bad, so nobody reads on.
    p.send(upload(p) + frame(DATA, 0, 1, b"\0" * 16384) * (offered // 16384 * 20 + 2))
    found = p.until(lambda f: isinstance(f, (GoAwayFrame, RstStreamFrame, HeadersFrame)))
    return None if found or p.closed else p.alive()


simple("6.10", "CONTINUATION frames make one header block",
       lambda p: (lambda b: frame(HEADERS, END_STREAM, 1, b[:3]) + frame(CONTINUATION, 0, 1, b[3:5])
                  + frame(CONTINUATION, END_HEADERS, 1, b[5:]))(p.headers()), "answered")
simple("6.10", "CONTINUATION of another stream",
       lambda p: frame(HEADERS, END_STREAM, 1, p.headers()) + frame(CONTINUATION, END_HEADERS, 3, b""),
       "connection_error", "PROTOCOL_ERROR")
simple("6.10", "CONTINUATION on stream 0",
       lambda p: frame(HEADERS, END_STREAM, 1, p.headers()) + frame(CONTINUATION, END_HEADERS, 0, b""),
       "connection_error", "PROTOCOL_ERROR")
simple("6.10", "CONTINUATION after END_HEADERS",
       lambda p: upload(p) + frame(CONTINUATION, END_HEADERS, 1, b""), "connection_error", "PROTOCOL_ERROR")
simple("6.10", "CONTINUATION after DATA",
       lambda p: upload(p) + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, END_HEADERS, 1, b""),
       "connection_error", "PROTOCOL_ERROR")
simple("7", "an unknown code in RST_STREAM", lambda p: upload(p) + frame(RST, 0, 1, window(0xFF)), "alive")


@case("7", "an unknown code in GOAWAY ends the connection at most quietly")
def _(p):
    p.send(frame(GOAWAY, 0, 0, window(0) + window(0xFF)))
    problem = p.alive()
    return None if p.closed and not any(getattr(f, "error_code", 0) for f in p.seen) else problem


# ---- 8 HTTP semantics ---------------------------------------------------------------------------------------------


def malformed(section, title, *extra, drop=(), **change):
    simple(section, title, lambda p: frame(HEADERS, WHOLE, 1, p.headers(*extra, drop=drop, **change)), "refused",
           "PROTOCOL_ERROR")


malformed("8.2.1", "an upper-case field name", ("X-TEST", "ok"))
malformed("8.2.1", "a space in a field name", ("x test", "ok"))
malformed("8.2.1", "a colon inside a field name", ("x:test", "ok"))
malformed("8.2.1", "an empty field name", ("", "ok"))
malformed("8.2.1", "a line break in a value", ("x-test", "a\r\nb"))
malformed("8.2.1", "NUL in a value", ("x-test", "a\0b"))
malformed("8.3", "an unknown pseudo field", (":test", "ok"))
malformed("8.3", "a response's pseudo field", (":status", "200"))
malformed("8.3", "a pseudo field after ordinary ones", ("x-test", "ok"), (":authority", "late"), drop=(":authority",))
for name in ("connection", "proxy-connection", "keep-alive", "upgrade", "transfer-encoding"):
    malformed("8.2.2", f"the connection's own field {name}", (name, "keep-alive"))
malformed("8.2.2", "te other than trailers", ("te", "trailers, deflate"))
malformed("8.3.1", "an empty :path", path="")
malformed("8.3.1", "no :method", drop=(":method",))
malformed("8.3.1", "no :scheme", drop=(":scheme",))
malformed("8.3.1", "no :path", drop=(":path",))
malformed("8.3.1", "two of :method", (":method", "GET"))
malformed("8.3.1", "two of :scheme", (":scheme", "http"))
malformed("8.3.1", "two of :path", (":path", "/"))
malformed("8.3.1", "a method with a space", method="GE T")
malformed("8.3.1", "an authority with a line break", authority="a\nb")
simple("8.3.1", "te: trailers is fine", lambda p: frame(HEADERS, WHOLE, 1, p.headers(("te", "trailers"))), "answered")
simple("8.1.1", "content-length that DATA exceeds",
       lambda p: upload(p, 1, OPEN, ("content-length", "1")) + frame(DATA, END_STREAM, 1, b"test"),
       "refused", "PROTOCOL_ERROR")
simple("8.1.1", "content-length that DATA does not reach",
       lambda p: upload(p, 1, OPEN, ("content-length", "9")) + frame(DATA, END_STREAM, 1, b"test"),
       "refused", "PROTOCOL_ERROR")
simple("8.1.1", "content-length without DATA",
       lambda p: upload(p, 1, WHOLE, ("content-length", "9")), "refused", "PROTOCOL_ERROR")
simple("8.1.1", "two different content-lengths",
       lambda p: upload(p, 1, OPEN, ("content-length", "1"), ("content-length", "2")), "refused", "PROTOCOL_ERROR")
simple("8.1.1", "a content-length that is no number",
       lambda p: upload(p, 1, OPEN, ("content-length", "many")), "refused", "PROTOCOL_ERROR")
simple("8.1", "second HEADERS without END_STREAM",
       lambda p: upload(p) + frame(HEADERS, OPEN, 1, p.encoder.encode([("x-test", "ok")])), "refused", "PROTOCOL_ERROR")
simple("8.1", "pseudo fields in trailers",
       lambda p: upload(p) + frame(HEADERS, WHOLE, 1, p.encoder.encode([(":method", "GET")])), "refused",
       "PROTOCOL_ERROR")
simple("8.1", "trailers end a request",
       lambda p: upload(p) + frame(DATA, 0, 1, b"\0\0\0\0\0") + frame(HEADERS, WHOLE, 1, p.encoder.encode([("x", "y")])),
       "answered")
simple("8.4", "a client cannot turn push on for a server", settings((2, 1)), "alive")

# ---- HPACK (RFC 7541) ---------------------------------------------------------------------------------------------

BASE = b"\x82\x86\x84\x41\x04test"  # GET, http, /, :authority test


def block(tail: bytes) -> bytes:
    return frame(HEADERS, WHOLE, 1, BASE + tail)


simple("H 2.3.3", "an index past both tables", block(b"\xfe"), "connection_error", "COMPRESSION_ERROR")
simple("H 2.3.3", "a literal whose name index is past both tables", block(b"\x7f\x30\x01a"), "connection_error",
       "COMPRESSION_ERROR")
simple("H 4.2", "a table size update at the end of a block", block(b"\x20"), "connection_error", "COMPRESSION_ERROR")
simple("H 4.2", "a table size update at the start of a block is fine",
       frame(HEADERS, WHOLE, 1, b"\x20" + b"\x82\x86\x84\x01\x04test"), "answered")
simple("H 5.1", "an integer that overflows", block(b"\x00\x7f" + b"\xff" * 10 + b"\x01"), "connection_error",
       "COMPRESSION_ERROR")
simple("H 5.2", "a Huffman string padded with more than 7 bits",
       block(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), "connection_error", "COMPRESSION_ERROR")
simple("H 5.2", "a Huffman string padded with zeros", block(b"\x00\x83\xf2\xb2\x40\x01a"), "connection_error",
       "COMPRESSION_ERROR")
simple("H 5.2", "a Huffman string with EOS", block(b"\x00\x85\xf2\xb2\x4a\x87\xff\xff\xff\xff\x01a"),
       "connection_error", "COMPRESSION_ERROR")
simple("H 5.2", "a string longer than its block", block(b"\x00\x01a\x7e"), "connection_error", "COMPRESSION_ERROR")
simple("H 6.1", "index 0", block(b"\x80"), "connection_error", "COMPRESSION_ERROR")
simple("H 6.1", "the whole static table is known", frame(HEADERS, WHOLE, 1, BASE + bytes(0x80 | i for i in range(15, 20))),
       "answered")
simple("H 6.2.1", "a literal with indexing is found again",
       lambda p: block(b"\x40\x01x\x01y") + frame(HEADERS, WHOLE, 3, BASE + b"\xbf"), "answered", stream=3)
simple("H 6.2.2", "a literal without indexing", block(b"\x00\x01x\x01y"), "answered")
simple("H 6.2.3", "a literal never indexed", block(b"\x10\x01x\x01y"), "answered")
simple("H 6.3", "a table size update over what we allow",
       frame(HEADERS, WHOLE, 1, b"\x3f\xe1\xff\x03" + BASE), "connection_error", "COMPRESSION_ERROR")
simple("H 8.1", "Huffman-coded values", block(b"\x00\x82\xf2\xbf\x82\xf2\xbf"), "answered")


@case("H 4.3", "an entry larger than the table empties it")
def _(p):
    big = b"\x40\x01b" + b"\x7f\x81\x1f" + b"v" * 4096  # 4096 bytes of value alone
    p.send(block(b"\x40\x01x\x01y") + frame(HEADERS, WHOLE, 3, BASE + big) + frame(HEADERS, WHOLE, 5, BASE + b"\xbf"))
    return p.connection_error("COMPRESSION_ERROR")


# ---- generic: the ordinary must work ------------------------------------------------------------------------------

for title, build in (
    ("GET", lambda p: request(p)), ("HEAD", lambda p: request(p, method="HEAD")),
    ("POST with a body", lambda p: upload(p) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\x04test")),
    ("POST with trailers", lambda p: upload(p) + frame(DATA, 0, 1, b"\0\0\0\0\0")
     + frame(HEADERS, WHOLE, 1, p.encoder.encode([("x-end", "1")]))),
    ("OPTIONS", lambda p: request(p, method="OPTIONS", path="*")),
    ("a body in a hundred frames", lambda p: upload(p) + frame(DATA, 0, 1, b"x" * 50) * 100 + frame(DATA, END_STREAM, 1)),
    ("a gRPC call", lambda p: upload(p, flags=WHOLE)),
):  # fmt: skip
    simple("generic", f"{title} is answered", build, "answered")


@case("generic", "a hundred streams at once are all answered")
def _(p):
    p.send(b"".join(request(p, 1 + 2 * i) for i in range(100)))
    done = set()
    while len(done) < 100:
        found = p.until(lambda f: isinstance(f, HeadersFrame))
        if not found:
            return f"{len(done)} answers"
        done.add(found.stream_id)
    return None


@case("generic", "an upload larger than the first window goes through")
def _(p):
    p.send(upload(p))
    left, credit = 3 << 20, 65535
    body = (b"\0" + struct.pack(">I", left - 5)).ljust(left, b"\0")
    credit = next(f for f in p.seen if isinstance(f, SettingsFrame)).settings.get(4, 65535)
    while left:
        while credit < 16384:
            found = p.until(lambda f: type(f).__name__ == "WindowUpdateFrame" and f.stream_id == 1)
            if not found:
                return f"no credit with {left} bytes left; {p.summary()}"
            credit += found.window_increment
        p.send(frame(DATA, END_STREAM if left == 16384 else 0, 1, body[-left:][:16384]))
        left -= 16384
        credit -= 16384
    return p.answered(1)


def main() -> int:
    port, wanted = int(sys.argv[1]), sys.argv[2:]
    failed = 0
    for section, title, function, (greet, *pairs) in CASES:
        if wanted and not any(word in f"{section} {title}" for word in wanted):
            continue
        peer = Peer(port, 4.0, greet, *pairs)
        try:
            problem = function(peer)
        except Exception as error:  # noqa: BLE001: whatever the server did, it is this case's failure
            problem = f"{type(error).__name__}: {error}"
        peer.close()
        if problem:
            failed += 1
            print(f"FAILED {section} {title}: {problem}")
    print(f"{len(CASES) - failed} of {len(CASES)} cases passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
