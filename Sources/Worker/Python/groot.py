"""What GR00T N1.5 in LeRobot (0.4, 0.5) needs beyond other policies; nothing of it touches N1.7.

Flash attention: its Eagle backbone names it whatever the machine has. Where it cannot be imported, PyTorch's own attention
computes the same. Noise: its action head draws its own; the worker's requests carry seeds, one a row.
"""

from __future__ import annotations

import contextlib
from typing import Any, Iterator


def without_flash_attention() -> bool:
    """Lets Eagle run on PyTorch's attention where flash-attn is not installed; true when that was necessary."""
    import transformers
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        return False
    original = transformers.PreTrainedModel._check_and_adjust_attn_implementation
    if getattr(original, "is_without_flash", False):
        return True

    def adjusted(self: Any, wanted: str | None, *args: Any, **kwargs: Any) -> str:
        return original(self, "sdpa" if wanted == "flash_attention_2" else wanted, *args, **kwargs)

    adjusted.is_without_flash = True
    transformers.PreTrainedModel._check_and_adjust_attn_implementation = adjusted
    return True


class _TorchWithNoise:
    """The torch module for one other module, whose next normal noise is given."""

    def __init__(self, torch: Any, noise: Any) -> None:
        self._torch, self._noise = torch, noise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def randn(self, size: Any, **options: Any) -> Any:
        if tuple(size) != tuple(self._noise.shape):
            raise ValueError(f"the action head wants noise of shape {tuple(size)}, the worker made {tuple(self._noise.shape)}")
        return self._noise.to(options.get("dtype", self._noise.dtype))


class GivenNoise:
    """For an action head that draws noise by itself: its shape, and a block within which it takes what it is given."""

    def __init__(self, policy: Any) -> None:
        import sys

        head = policy._groot_model.action_head
        self.module = sys.modules[type(head).__module__]
        self.rows, self.width = head.config.action_horizon, head.config.action_dim

    @staticmethod
    def of(policy: Any) -> "GivenNoise | None":
        head = getattr(getattr(policy, "_groot_model", None), "action_head", None)
        return GivenNoise(policy) if type(head).__name__ == "FlowmatchingActionHead" else None

    @contextlib.contextmanager
    def taken(self, noise: Any) -> Iterator[None]:
        original = self.module.torch
        self.module.torch = _TorchWithNoise(original, noise)
        try:
            yield
        finally:
            self.module.torch = original
