"""A slow, lossy or cut link between the robots and the gateway, for the benchmarks: three ways to make one.

`Wire` is a link that can be cut: robot cells and agents live in a network namespace, joined to the gateway by a veth pair. While
it is cut, each end sends to an address that nobody has: packets vanish, both ends have a carrier, and TCP itself has to find out.
It needs root.

`Netem` is a wire with `tc netem` at both ends: TCP feels delay and loss. It needs a kernel with sch_netem besides.

`Relay` stands in where that is missing: a TCP relay on the loopback interface. Bytes leave half a round trip after they
came, in order. Loss is drawn per segment of 1448 bytes; a lost segment with three or more behind it in its burst costs one
round trip (fast retransmission), else 200 ms and a round trip (retransmission time-out), and holds up what is behind
it. Congestion windows are not modelled: the relay is kinder than netem to large observations. While it is cut, what was sent
waits and new connections get no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import threading

from fleet import free_port

SEGMENT = 1448
# A link-layer address of no machine.
NOBODY = "02:00:00:00:00:01"
TIMEOUT = 0.2


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


class Wire:
    """Owns a network namespace; `close` removes it with everything in it."""

    name = "a veth pair into a network namespace"
    prefix_length = 30

    def __init__(self) -> None:
        tag = f"groot{os.getpid() % 100000}"
        self.namespace, self.outside, self.inside = tag, f"{tag}a", f"{tag}b"
        # A network of its own per process, so that two benchmarks do not meet.
        third = os.getpid() % 250
        self.gateway_host, self.robot_host = f"10.213.{third}.1", f"10.213.{third}.2"
        run("ip", "netns", "add", self.namespace)
        try:
            run("ip", "link", "add", self.outside, "type", "veth", "peer", "name", self.inside, "netns", self.namespace)
            run("ip", "address", "add", f"{self.gateway_host}/{self.prefix_length}", "dev", self.outside)
            run("ip", "link", "set", self.outside, "up")
            self.within("ip", "address", "add", f"{self.robot_host}/{self.prefix_length}", "dev", self.inside)
            self.within("ip", "link", "set", self.inside, "up")
            self.within("ip", "link", "set", "lo", "up")
            self.joined()
        except BaseException:
            self.close()
            raise

    @property
    def wrapper(self) -> list[str]:
        """What starts a robot's process on the far side."""
        return ["ip", "netns", "exec", self.namespace]

    def address(self, port: int) -> str:
        return f"{self.gateway_host}:{port}"

    def within(self, *command: str) -> None:
        run(*self.wrapper, *command)

    def joined(self) -> None:
        """Called once both ends are up."""

    def cut(self, is_cut: bool) -> None:
        """Both ends stay up: they send, and nothing arrives."""
        change = ["replace", "lladdr", NOBODY, "nud", "permanent"] if is_cut else ["del"]
        self.within("ip", "neigh", change[0], self.gateway_host, *change[1:], "dev", self.inside)
        run("ip", "neigh", change[0], self.robot_host, *change[1:], "dev", self.outside)

    def close(self) -> None:
        # The veth pair goes with the namespace.
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "netns", "delete", self.namespace)


class Netem(Wire):
    """A wire that is late and loses packets."""

    name = "tc netem in a network namespace"

    def joined(self) -> None:
        self.set(0, 0)

    def set(self, delay: float, loss: float) -> None:
        """`delay` is the round trip in seconds; each direction gets half of it and the whole loss."""
        shape = ["netem", "delay", f"{delay * 500:.1f}ms", "loss", f"{loss * 100:g}%", "limit", "10000"]
        run("tc", "qdisc", "replace", "dev", self.outside, "root", *shape)
        self.within("tc", "qdisc", "replace", "dev", self.inside, "root", *shape)


class Relay:
    """Passes connections on to the gateway, late. Owns an event loop in a thread of its own."""

    name = "a TCP relay"
    wrapper: list[str] = []

    def __init__(self) -> None:
        self.port = free_port(0)
        self.target = 0
        self.delay = self.loss = 0.0
        self.random = random.Random(1)
        self.loop = asyncio.new_event_loop()
        self.whole = asyncio.Event()
        self.whole.set()
        started = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(asyncio.start_server(self.accepted, "127.0.0.1", self.port))
            started.set()
            self.loop.run_forever()

        threading.Thread(target=serve, daemon=True).start()
        started.wait()

    gateway_host = "127.0.0.1"

    def address(self, port: int) -> str:
        self.target = port
        return f"127.0.0.1:{self.port}"

    def set(self, delay: float, loss: float) -> None:
        self.delay, self.loss = delay, loss

    def cut(self, is_cut: bool) -> None:
        self.loop.call_soon_threadsafe(self.whole.clear if is_cut else self.whole.set)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)

    def lateness(self, size: int) -> float:
        """What the losses among the segments of one burst add to its arrival, in seconds."""
        segments = -(-size // SEGMENT)
        late = 0.0
        for index in range(segments):
            while self.random.random() < self.loss:
                late = max(late, self.delay + (0 if segments - index > 3 else TIMEOUT))
        return late

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.whole.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pipe(reader, far_writer), self.pipe(far_reader, writer))

    async def pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, block = await queue.get()
                await asyncio.sleep(max(0, due - self.loop.time()))
                await self.whole.wait()
                if block is None:
                    break
                writer.write(block)
                await writer.drain()
            writer.close()

        delivery = asyncio.create_task(deliver())
        due = 0.0
        with contextlib.suppress(OSError):
            while block := await reader.read(65536):
                due = max(due, self.loop.time() + self.delay / 2 + self.lateness(len(block)))
                queue.put_nowait((due, block))
        queue.put_nowait((max(due, self.loop.time()), None))
        with contextlib.suppress(OSError):
            await delivery


def open_link() -> Netem | Relay:
    """Netem where the machine allows it."""
    return opened(Netem)


def open_wire() -> Wire | Relay:
    """A wire where the machine allows one."""
    return opened(Wire)


def opened(kind: type[Wire]) -> Wire | Relay:
    try:
        return kind()
    except (OSError, subprocess.CalledProcessError):
        return Relay()
