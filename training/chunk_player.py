"""Which row of which chunk a robot executes, with latency: the same rule as the robot agent, in whole 0.1 s ticks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .contract import ACTION_DIM, CHUNK_ROWS


@dataclass(frozen=True)
class Plan:
    """A chunk [16, 16] and the tick at which its observation was taken: row i is due at tick ``taken + i``."""

    taken: int
    rows: np.ndarray


@dataclass(frozen=True)
class Timing:
    """How a chunk is asked for: every ``replan`` ticks, arriving ``latency`` ticks later, with or without prefix."""

    latency: int = 1
    replan: int = 8
    prefix: str = "none"
    """``none``: plain sampling. ``frozen``: only the rows executed while waiting are given and kept.
    ``soft``: all remaining rows of the old chunk are given; those after the frozen ones follow the soft ramp."""

    def __post_init__(self) -> None:
        if self.prefix not in ("none", "frozen", "soft"):
            raise ValueError(f"unknown prefix mode {self.prefix!r}; use none, frozen or soft")
        if not (0 <= self.latency and 1 <= self.replan and self.latency + self.replan <= CHUNK_ROWS):
            raise ValueError(f"latency {self.latency} + replan {self.replan} ticks exceed a chunk of {CHUNK_ROWS}")


@dataclass
class ChunkPlayer:
    """The plans of one episode. Call ``wants_plan``, ``prefix``, ``accept`` and ``action`` once per tick, in that order."""

    timing: Timing
    active: Plan | None = None
    waiting: list[Plan] = field(default_factory=list)
    last_request: int | None = None

    def wants_plan(self, tick: int) -> bool:
        """Whether an observation is sent at this tick."""
        return self.last_request is None or tick - self.last_request >= self.timing.replan

    def prefix(self, tick: int) -> tuple[np.ndarray, int, int]:
        """Prefix [16, 16], prefix rows and frozen rows for an observation taken at ``tick``."""
        rows = np.zeros((CHUNK_ROWS, ACTION_DIM), np.float32)
        if self.timing.prefix == "none" or self.active is None:
            return rows, 0, 0
        left = self.active.rows[tick - self.active.taken :]
        frozen = min(self.timing.latency, len(left))
        count = frozen if self.timing.prefix == "frozen" else len(left)
        rows[:count] = left[:count]
        return rows, count, frozen

    def accept(self, tick: int, rows: np.ndarray) -> None:
        """Takes the answer to the observation of ``tick``; it becomes active ``latency`` ticks later."""
        self.last_request = tick
        self.waiting.append(Plan(tick, rows))

    def action(self, tick: int) -> np.ndarray | None:
        """The target to be reached at the end of this tick, or nothing while the first chunk is on its way."""
        while self.waiting and self.waiting[0].taken + self.timing.latency <= tick:
            plan = self.waiting.pop(0)
            # The robot stood still while the first chunk was on its way: none of its rows is in the past.
            self.active = plan if self.active else Plan(tick, plan.rows)
        if self.active is None:
            return None
        return self.active.rows[min(tick - self.active.taken, CHUNK_ROWS - 1)]
