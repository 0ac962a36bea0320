"""Real-time chunking without gradients: a new chunk continues the one that the robot is executing.

GR00T's native way (GR00T N1.7 has it built in; for other flow-matching policies it is added around their velocity): the first
rows of the initial noise are the rest of the previous chunk; rows that will have been executed before the answer arrives
are frozen (velocity 0), and between them and the end of the overlap the velocity is let in along 1 - exp(-rate * x).
"""

from __future__ import annotations

import contextlib
import inspect
from typing import Any, Iterator

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


class PrefixSupport:
    """Whether and how a policy continues a prefix; used by one thread."""

    def __init__(self, policy: Any, preprocess: Any, device: Any) -> None:
        import torch

        self.torch, self.policy, self.device = torch, policy, device
        self.normalizer = next(
            (step for step in getattr(preprocess, "steps", []) if hasattr(step, "_normalize_action")), None
        )
        self.native = self.has_native()
        self.flow = self.flow_model() if not self.native else None
        self.supported = self.normalizer is not None and (self.native or self.flow is not None)
        self.current: tuple[Any, list[int], list[int]] | None = None

    def has_native(self) -> bool:
        supports = getattr(self.policy, "supports_rtc", None)
        able = bool(supports() if callable(supports) else supports)
        names = inspect.signature(self.policy.predict_action_chunk).parameters
        takes = "prev_chunk_left_over" in names or any(p.kind == p.VAR_KEYWORD for p in names.values())
        relative = getattr(self.policy.config, "use_relative_actions", False)
        return able and takes and not relative and self.policy.config.type == "groot"

    def flow_model(self) -> Any:
        """The module whose denoise_step gives the velocity, when the noise can be given too (SmolVLA, pi0)."""
        model = getattr(self.policy, "model", None)
        takes_noise = "noise" in inspect.signature(self.policy.predict_action_chunk).parameters
        return model if takes_noise and hasattr(model, "denoise_step") else None

    @contextlib.contextmanager
    def continuing(self, prefixes: Any, rows: list[dict[str, Any]]) -> Iterator[None]:
        """Within, predictions continue the prefixes (B, T, D, robot units)."""
        overlaps = [row["prefix_rows"] for row in rows]
        frozen = [row["frozen_rows"] for row in rows]
        model_units = self.normalizer._normalize_action(prefixes.to(self.device), inverse=False)
        self.current = (model_units, overlaps, frozen)
        if self.flow is None:
            try:
                yield
            finally:
                self.current = None
            return
        original = self.flow.denoise_step
        sample = self.flow.sample_actions
        strength = velocity_strength(self.torch, prefixes.shape[1], overlaps, frozen).to(self.device)

        def denoise(*args: Any, **kwargs: Any) -> Any:
            velocity = original(*args, **kwargs)
            return velocity * strength.to(velocity.dtype)

        def sample_actions(*args: Any, noise: Any = None, **kwargs: Any) -> Any:
            noise = noise.clone()
            for i, overlap in enumerate(overlaps):
                noise[i, :overlap, : model_units.shape[2]] = model_units[i, :overlap].to(noise.dtype)
                noise[i, :overlap, model_units.shape[2] :] = 0
            return sample(*args, noise=noise, **kwargs)

        self.flow.denoise_step, self.flow.sample_actions = denoise, sample_actions
        try:
            yield
        finally:
            self.flow.denoise_step, self.flow.sample_actions = original, sample
            self.current = None

    def arguments(self, rows: list[int]) -> dict[str, Any]:
        """What a policy with a native mode is told; its interface knows one delay and one horizon per call."""
        if self.current is None or not self.native or not self.current[1][rows[0]]:
            return {}
        prefixes, overlaps, frozen = self.current
        overlap = min(overlaps[i] for i in rows)
        return {
            "prev_chunk_left_over": prefixes[rows][:, :overlap],
            "inference_delay": max(frozen[i] for i in rows),
            "execution_horizon": overlap,
        }
