"""What GR00T in LeRobot needs beyond other policies: N1.5 (LeRobot 0.4, 0.5) and N1.7 (0.6).

Flash attention: N1.5's Eagle backbone names it whatever the machine has. Where it cannot be imported, PyTorch's own attention
computes the same (N1.7 chooses by itself). Noise and velocity: both action heads draw their own noise and integrate a
velocity within one function; the worker's requests carry seeds and prefixes, one a row.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from typing import Any, Iterator


def is_n15() -> bool:
    """Whether this LeRobot's GR00T is N1.5; with 0.6 N1.7 took its place."""
    return importlib.util.find_spec("lerobot.policies.groot.groot_n1") is not None


def without_flash_attention() -> bool:
    """Lets Eagle run on PyTorch's attention where flash-attn is not installed; true when that was necessary."""
    import transformers
    from transformers.utils import is_flash_attn_2_available

    if not is_n15() or is_flash_attn_2_available():
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
        # A copy, as N1.7 may write into what it drew.
        return self._noise.to(options.get("dtype", self._noise.dtype), copy=True)


class ActionHead:
    """GR00T's flow-matching head, and blocks within which its noise is given and its velocity scaled."""

    def __init__(self, head: Any) -> None:
        self.head, self.module = head, sys.modules[type(head).__module__]
        self.rows, self.width = head.config.action_horizon, head.action_dim

    @staticmethod
    def of(policy: Any) -> "ActionHead | None":
        head = getattr(getattr(policy, "_groot_model", None), "action_head", None)
        return ActionHead(head) if hasattr(head, "action_decoder") else None

    @contextlib.contextmanager
    def taking(self, noise: Any) -> Iterator[None]:
        original = self.module.torch
        self.module.torch = _TorchWithNoise(original, noise)
        try:
            yield
        finally:
            self.module.torch = original

    @contextlib.contextmanager
    def scaled(self, strength: Any) -> Iterator[None]:
        """Multiplies the velocity by `strength` (B, T, 1). Its decoder's last rows are the velocity, nothing reads the others."""

        def scale(_module: Any, _inputs: Any, output: Any) -> Any:
            velocity = output.clone()
            velocity[:, -self.rows :] *= strength.to(velocity.dtype)
            return velocity

        hook = self.head.action_decoder.register_forward_hook(scale)
        try:
            yield
        finally:
            hook.remove()
