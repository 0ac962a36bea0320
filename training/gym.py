"""Client of ``groot-sim gym``: one simulated cell in lock step over pipes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .contract import IMAGE_SIZE


@dataclass(frozen=True)
class Moment:
    """What the simulator answers: ``images`` uint8 [2, 96, 96, 3] (head, chest) or nothing when not asked for."""

    outcome: str
    reason: str
    time_s: float
    task: str
    target: int
    colours: list[str]
    state: np.ndarray
    images: np.ndarray | None

    @property
    def running(self) -> bool:
        """Whether the episode is still undecided."""
        return self.outcome == "running"


class Gym:
    """One simulator process with one cell. Not thread safe; use as a context manager."""

    def __init__(self, simulator: Path) -> None:
        self._process = subprocess.Popen(
            [str(simulator), "gym", "--cells", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Gym:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def reset(self, seed: int, task: str | None, timeout_s: float) -> Moment:
        """Starts an episode; without a task it is the scene's own sentence."""
        request: dict[str, Any] = {"cmd": "reset", "cell": 0, "seed": seed, "options": {"timeout_s": timeout_s}}
        if task is not None:
            request["task"] = task
        return self._ask(request)

    def step(self, target: np.ndarray, images: bool) -> Moment:
        """Runs 0.1 s towards ``target`` [16]."""
        return self._ask({"cmd": "step", "cell": 0, "targets": [target.tolist()], "images": images})

    def _ask(self, request: dict[str, Any]) -> Moment:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the simulator has no pipes")
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the simulator refused {request['cmd']}: {answer['error']}")
        images = None
        if count := answer["image_bytes"]:
            pixels = np.frombuffer(stdout.read(count), np.uint8)
            images = pixels.reshape(2, IMAGE_SIZE, IMAGE_SIZE, 3)
        return Moment(
            outcome=answer["outcome"],
            reason=answer["reason"],
            time_s=answer["time_s"],
            task=answer["task"],
            target=answer["target"],
            colours=answer["colours"],
            state=np.array(answer["state"], np.float32),
            images=images,
        )
