"""A peer that speaks HTTP/2 frame by frame, and breaks it on purpose. Used by conformance.py."""

from __future__ import annotations

import socket
import struct
import time

import hpack
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
CODES = {
    "NO_ERROR": 0, "PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "FLOW_CONTROL_ERROR": 3, "SETTINGS_TIMEOUT": 4,
    "STREAM_CLOSED": 5, "FRAME_SIZE_ERROR": 6, "REFUSED_STREAM": 7, "CANCEL": 8, "COMPRESSION_ERROR": 9,
    "CONNECT_ERROR": 10, "ENHANCE_YOUR_CALM": 11,
}  # fmt: skip
NAMES = {code: name for name, code in CODES.items()}


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """Raw bytes of a frame, legal or not."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


class Peer:
    """One connection to the server under test."""

    def __init__(self, port: int, patience: float, greet: bool = True, *pairs: tuple[int, int], tls=None) -> None:
        self.patience = patience
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        self.closed = False
        self.seen: list[Frame] = []
        if greet:
            self.send(PREFACE + settings(*pairs))
            self.until(lambda f: isinstance(f, SettingsFrame) and "ACK" not in f.flags)
            self.send(frame(SETTINGS, ACK, 0))
            self.until(lambda f: isinstance(f, SettingsFrame) and "ACK" in f.flags)

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def close(self) -> None:
        self.socket.close()

    def next(self, deadline: float) -> Frame | None:
        """The next frame, or None at the deadline or the end."""
        while True:
            if len(self.buffer) >= 9:
                head, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    head.parse_body(memoryview(self.buffer[9 : 9 + length]))
                    self.buffer = self.buffer[9 + length :]
                    if isinstance(head, HeadersFrame):
                        head.fields = self.decoder.decode(head.data)
                    self.seen.append(head)
                    return head
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                return None
            self.socket.settimeout(left)
            try:
                part = self.socket.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                part = b""
            if not part:
                self.closed = True
                return None
            self.buffer += part

    def until(self, wanted) -> Frame | None:
        """Reads until a frame that is wanted; None when it does not come."""
        deadline = time.monotonic() + self.patience
        while (found := self.next(deadline)) is not None:
            if wanted(found):
                return found
        return None

    def headers(self, *extra: tuple[str, str], drop: tuple[str, ...] = (), **change: str) -> bytes:
        """A header block of an ordinary request, changed."""
        fields = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "test"}
        fields.update({":" + key: value for key, value in change.items()})
        return self.encoder.encode([(k, v) for k, v in fields.items() if k not in drop] + list(extra))

    # What a case may expect; each returns None or what came instead.

    def connection_error(self, *codes: str) -> str | None:
        """GOAWAY with one of the codes, or the end of the connection."""
        found = self.until(lambda f: isinstance(f, GoAwayFrame) and f.error_code != 0)
        if found is None:
            return None if self.closed else f"the connection lives on; {self.summary()}"
        name = NAMES.get(found.error_code, str(found.error_code))
        return None if not codes or name in codes else f"GOAWAY with {name}"

    def stream_error(self, stream: int, *codes: str) -> str | None:
        """RST_STREAM with one of the codes; a connection error will do as well."""
        def wanted(f):
            return isinstance(f, RstStreamFrame) and f.stream_id == stream or isinstance(f, GoAwayFrame) and f.error_code
        found = self.until(wanted)
        if found is None:
            return None if self.closed else f"the stream lives on; {self.summary()}"
        name = NAMES.get(found.error_code, str(found.error_code))
        return None if not codes or name in codes else f"{type(found).__name__} with {name}"

    def refused(self, stream: int, *codes: str) -> str | None:
        """A malformed request: stream error, or an answer of 400 and above (RFC 9113, 8.1.1)."""
        def wanted(f):
            return (isinstance(f, RstStreamFrame) and f.stream_id == stream
                    or isinstance(f, GoAwayFrame) and f.error_code
                    or isinstance(f, HeadersFrame) and f.stream_id == stream)  # fmt: skip
        found = self.until(wanted)
        if found is None:
            return None if self.closed else f"no answer; {self.summary()}"
        if isinstance(found, HeadersFrame):
            status = dict(found.fields).get(":status", "")
            return None if status.startswith("4") and status != "415" else f"answered {status}"
        name = NAMES.get(found.error_code, str(found.error_code))
        return None if not codes or name in codes else f"{type(found).__name__} with {name}"

    def answered(self, stream: int) -> str | None:
        """Response headers on the stream."""
        found = self.until(lambda f: isinstance(f, (HeadersFrame, RstStreamFrame)) and f.stream_id == stream)
        return None if isinstance(found, HeadersFrame) else f"no response; {self.summary()}"

    def alive(self) -> str | None:
        """A ping is answered with its own bytes."""
        token = b"aliveyes"
        self.send(frame(PING, 0, 0, token))
        found = self.until(lambda f: isinstance(f, PingFrame) and "ACK" in f.flags and f.opaque_data == token)
        return None if found else f"no PING ACK; {self.summary()}"

    def summary(self) -> str:
        names = [f"{type(f).__name__}({getattr(f, 'error_code', '')})" for f in self.seen[-6:]]
        return ("closed" if self.closed else "open") + ", seen " + " ".join(names)
