"""The child process of groot-worker: runs one policy in the user's own Python.

Control goes over a Unix socket as one JSON object a line, observations and chunks through shared memory; the worker speaks
first, every message gets one answer. The process ends when the worker does. Nothing here knows LeRobot: the policy
comes from an adapter file (lerobot_policy.py, or the one that --python-policy names) with a function
`load_policy(settings, progress)`, whose result has the attributes and methods that `Adapter` below lists.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import socket
import sys
import threading
import time
import traceback
from typing import Any, Callable, Protocol

PROTOCOL = 1


class Adapter(Protocol):
    """What load_policy returns."""

    description: dict[str, Any]
    """policy_type, images [[key, width, height]], state_dim, action_dim, chunk_size, supports_prefix, max_task_bytes,
    version, memory_bytes; optional: state_names, action_names, rows_per_second."""

    def warm_up(self, batch: int, arena: "Arena") -> str | None:
        """Makes the batch size ready; the answer says what could not be done and why (eager instead of a CUDA graph)."""

    def run(self, rows: list[dict[str, Any]], arena: "Arena") -> dict[str, int]:
        """Reads the rows from the arena, writes the chunks into it, returns the nanoseconds of each stage."""

    def check_device(self) -> None:
        """Optional; asked after a failure. Raises when the device no longer answers this process."""


class Arena:
    """The shared memory: one region per input with a place for every row of the largest batch."""

    def __init__(self, layout: dict[str, Any]) -> None:
        with open(layout["path"], "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), layout["bytes"])
        self.layout = layout
        self.max_batch: int = layout["max_batch"]

    def view(self, region: str, batch: int) -> memoryview:
        """The first `batch` rows of a region, without a copy."""
        place = self.layout["regions"][region]
        return memoryview(self.memory)[place["offset"] : place["offset"] + batch * place["row_bytes"]]

    def row(self, region: str, row: int) -> memoryview:
        place = self.layout["regions"][region]
        begin = place["offset"] + row * place["row_bytes"]
        return memoryview(self.memory)[begin : begin + place["row_bytes"]]

    def task(self, row: int, length: int) -> str:
        return bytes(self.row("task", row)[:length]).decode("utf-8")


def load_adapter(path: str) -> Callable[[dict[str, Any], Callable[[str], None]], Adapter]:
    specification = importlib.util.spec_from_file_location("groot_policy_adapter", path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    # So that an adapter finds the files beside it and beside this one.
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    sys.modules["groot_policy_adapter"] = module
    specification.loader.exec_module(module)
    return module.load_policy


def kind_of(error: BaseException) -> str:
    """`out_of_memory` when less at a time could have worked, else `failed`."""
    text = f"{type(error).__name__}: {error}".lower()
    memory = isinstance(error, MemoryError) or "outofmemory" in text or "out of memory" in text
    return "out_of_memory" if memory else "failed"


class Child:
    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connection.connect(path)
        self.lines = self.connection.makefile("r", encoding="utf-8", newline="\n")
        self.lock = threading.Lock()
        self.policy: Adapter | None = None
        self.arena: Arena | None = None

    def send(self, **message: Any) -> None:
        data = (json.dumps(message) + "\n").encode("utf-8")
        with self.lock:
            self.connection.sendall(data)

    def serve(self) -> None:
        self.send(hello=PROTOCOL, pid=os.getpid(), python=sys.version.split()[0], executable=sys.executable)
        for line in self.lines:
            message = json.loads(line)
            try:
                self.answer(message)
            except Exception as error:  # the worker decides what becomes of it
                traceback.print_exc()
                kind = kind_of(error) if self.device_works() else "device_lost"
                self.send(error=kind, message=f"{type(error).__name__}: {error}")

    def device_works(self) -> bool:
        """After an error in a kernel every later call fails too, until the process ends."""
        check = getattr(self.policy, "check_device", None)
        if check is None:
            return True
        try:
            check()
        except Exception:  # noqa: BLE001: whatever it is, the device does not answer
            traceback.print_exc()
            return False
        return True

    def answer(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "load":
                load_policy = load_adapter(message["adapter"])
                self.policy = load_policy(message["settings"], lambda text: self.send(progress=text))
                self.send(loaded=self.policy.description)
            case "map":
                self.arena = Arena(message["layout"])
                self.send(mapped=True)
            case "warm":
                batch = message["batch"]
                note = self.policy.warm_up(batch, self.arena)
                rows = [{"task_bytes": 0, "prefix_rows": 0, "frozen_rows": 0, "seed": 0}] * batch
                times = self.policy.run(rows, self.arena)
                self.send(warmed=batch, infer_ns=times["infer"], note=note)
            case "run":
                times = self.policy.run(message["rows"], self.arena)
                self.send(done=message["id"], **{f"{stage}_ns": value for stage, value in times.items()})
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")


def leave_with(parent: int) -> None:
    """Ends this process when the worker is gone, even in the middle of an inference."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(3)


def main() -> None:
    threading.Thread(target=leave_with, args=(os.getppid(),), daemon=True).start()
    Child(sys.argv[1]).serve()


if __name__ == "__main__":
    main()
