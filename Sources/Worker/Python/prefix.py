"""Real-time chunking without gradients: a new chunk continues the one that the robot is executing.

GR00T's native way, put around the velocity of any flow-matching policy: the first rows of the initial noise are the rest of the
previous chunk; rows that will have been executed before the answer arrives are frozen (velocity 0), and between them and the
end of the overlap the velocity is let in along 1 - exp(-rate * x). GR00T N1.7 has the same built in, for one overlap and one
delay per call; from outside each row of a batch has its own.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any, Callable, Iterator

RAMP_RATE = 6.0


def velocity_strength(torch: Any, rows: int, overlaps: list[int], frozen: list[int], rate: float = RAMP_RATE) -> Any:
    """(B, T, 1): 0 for frozen rows, a rising share up to the end of the overlap, 1 behind it."""
    strength = torch.ones(len(overlaps), rows, 1)
    for i, (overlap, still) in enumerate(zip(overlaps, frozen, strict=True)):
        overlap = min(overlap, rows)
        still = min(still, overlap)
        strength[i, :still] = 0
        ramp = overlap - still
        if ramp > 0:
            x = torch.linspace(0, 1, ramp + 2)[1:-1]
            strength[i, still:overlap, 0] = (1 - torch.exp(-rate * x)) / (1 - torch.exp(torch.tensor(-rate)))
    return strength


def model_units(preprocess: Any, postprocess: Any) -> Callable[[Any], Any] | None:
    """From robot units to the model's, by the step that does it in training.

    None where a chunk in robot units does not say what the model predicted: actions relative to an older state, grippers that
    were rounded to open or closed.
    """
    for step in getattr(postprocess, "steps", []):
        absolute = type(step).__name__ == "AbsoluteActionsProcessorStep" and step.enabled
        lossy = ("use_relative_action", "action_decode_transform", "libero_gripper_action")
        if absolute or any(getattr(step, name, None) for name in lossy):
            return None
    for step in getattr(preprocess, "steps", []):
        if hasattr(step, "_normalize_action"):
            return lambda actions: step._normalize_action(actions, inverse=False)
        if hasattr(step, "max_action_dim"):
            return packed_by(step)
    return None


def packed_by(step: Any) -> Callable[[Any], Any]:
    """GR00T normalises in the step that packs its inputs; a copy, as that remembers the last state and its warnings."""
    from lerobot.processor.converters import create_transition

    step = copy.copy(step)

    def convert(actions: Any) -> Any:
        transition = create_transition(observation={}, action=actions.cpu(), complementary_data={})
        return step(transition)["action"].to(actions.device)

    return convert


class PrefixSupport:
    """Whether and how a policy continues a prefix; used by one thread."""

    def __init__(self, policy: Any, head: Any, takes_noise: bool, to_model_units: Callable[[Any], Any] | None) -> None:
        """`head`: GR00T's; other policies have a model whose denoise_step gives the velocity (SmolVLA, pi0)."""
        import torch

        self.torch, self.head, self.to_model_units = torch, head, to_model_units
        model = getattr(policy, "model", None)
        self.flow = model if takes_noise and hasattr(model, "denoise_step") else None
        self.supported = to_model_units is not None and (head is not None or self.flow is not None)
        own = getattr(getattr(policy, "_groot_model", None), "config", None)
        self.rate = getattr(own, "rtc_ramp_rate", None) or RAMP_RATE
        self.current: tuple[Any, list[int], list[int]] | None = None

    @contextlib.contextmanager
    def continuing(self, prefixes: Any, rows: list[dict[str, Any]]) -> Iterator[None]:
        """Within, `steered` inferences continue the prefixes (B, T, D, robot units)."""
        overlaps = [row["prefix_rows"] for row in rows]
        self.current = (self.to_model_units(prefixes), overlaps, [row["frozen_rows"] for row in rows])
        try:
            yield
        finally:
            self.current = None

    @contextlib.contextmanager
    def steered(self, rows: list[int], noise: Any) -> Iterator[Any]:
        """Yields where the integration of these rows of the batch starts; within, their velocity is let in as it should."""
        if self.current is None:
            yield noise
            return
        units, overlaps, frozen = self.current
        start = noise.clone()
        for i, row in enumerate(rows):
            start[i, : overlaps[row]] = 0
            start[i, : overlaps[row], : units.shape[2]] = units[row, : overlaps[row]]
        strength = velocity_strength(
            self.torch, start.shape[1], [overlaps[row] for row in rows], [frozen[row] for row in rows], self.rate
        ).to(start.device)
        with self.head.scaled(strength) if self.head else self.scaled(strength):
            yield start

    @contextlib.contextmanager
    def scaled(self, strength: Any) -> Iterator[None]:
        original = self.flow.denoise_step

        def denoise(*args: Any, **kwargs: Any) -> Any:
            velocity = original(*args, **kwargs)
            return velocity * strength.to(velocity.dtype)

        self.flow.denoise_step = denoise
        try:
            yield
        finally:
            self.flow.denoise_step = original
