"""A policy in the layer sizes of GR00T N1.5 with random weights, as plain PyTorch: for `make bench-gpu`, and as an example of a
loader of one's own (`groot-worker --runtime lerobot --python-policy training/groot_sized.py`).

The checkpoint directory's config.json holds under "sized" what differs from `Sizes`, and `"graph": false` for plain eager
PyTorch. bfloat16 on CUDA, float32 elsewhere.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Sizes:
    """GR00T N1.5: 1.78 billion parameters."""

    cameras: int = 2
    image: int = 224
    patch: int = 14
    vision_layers: int = 27
    vision_width: int = 1152
    vision_heads: int = 16
    vision_hidden: int = 4304
    text_tokens: int = 40
    language_layers: int = 12
    language_width: int = 2048
    language_heads: int = 16
    language_hidden: int = 6144
    fusion_layers: int = 4
    action_layers: int = 16
    action_width: int = 1536
    action_heads: int = 32
    steps: int = 4
    horizon: int = 16
    actions: int = 32
    state: int = 64
    future_tokens: int = 32


class Attention(nn.Module):
    """Grouped queries, rotary positions and normalised keys where a Qwen3 layer has them; plain otherwise."""

    def __init__(self, width: int, heads: int, source: int | None = None, qwen: bool = False) -> None:
        super().__init__()
        self.heads, self.size, self.qwen = heads, width // heads, qwen
        self.groups = heads // 2 if qwen else heads
        self.query = nn.Linear(width, width, bias=not qwen)
        self.key = nn.Linear(source or width, self.groups * self.size, bias=not qwen)
        self.value = nn.Linear(source or width, self.groups * self.size, bias=not qwen)
        self.out = nn.Linear(width, width, bias=not qwen)
        if qwen:
            self.query_norm, self.key_norm = nn.RMSNorm(self.size), nn.RMSNorm(self.size)

    def forward(self, x: torch.Tensor, source: torch.Tensor | None = None, rotary: Any = None) -> torch.Tensor:
        batch, length, width = x.shape
        source = x if source is None else source
        query = self.query(x).view(batch, length, self.heads, self.size).transpose(1, 2)
        key = self.key(source).view(batch, source.shape[1], self.groups, self.size).transpose(1, 2)
        value = self.value(source).view(batch, source.shape[1], self.groups, self.size).transpose(1, 2)
        if self.qwen:
            query, key = rotated(self.query_norm(query), rotary), rotated(self.key_norm(key), rotary)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.qwen, enable_gqa=self.qwen)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


def rotated(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * rotary[0] + torch.cat((-second, first), dim=-1) * rotary[1]


class Block(nn.Module):
    """Layer of the vision tower and of the fusion of image and text."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first(x))
        return x + self.down(F.gelu(self.up(self.second(x)), approximate="tanh"))


class LanguageBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads, qwen=True)
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, rotary: Any) -> torch.Tensor:
        x = x + self.attention(self.first(x), rotary=rotary)
        inner = self.second(x)
        return x + self.down(F.silu(self.gate(inner)) * self.up(inner))


class ActionBlock(nn.Module):
    """Cross-attention to image and text, scaled and shifted by the time of the flow."""

    def __init__(self, width: int, heads: int, source: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 2 * width)
        self.attention = Attention(width, heads, source)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor, moment: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulation(F.silu(moment)).unsqueeze(1).chunk(2, dim=-1)
        width = x.shape[-1:]
        x = x + self.attention(F.layer_norm(x, width) * (1 + scale) + shift, context)
        return x + self.down(F.gelu(self.up(F.layer_norm(x, width)), approximate="tanh"))


class Network(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        s = self.sizes = sizes
        patches = (s.image // s.patch) ** 2
        self.patches = nn.Conv2d(3, s.vision_width, s.patch, stride=s.patch)
        self.place = nn.Parameter(torch.zeros(1, patches, s.vision_width))
        self.vision = nn.ModuleList(Block(s.vision_width, s.vision_heads, s.vision_hidden) for _ in range(s.vision_layers))
        self.connect = nn.Sequential(
            nn.LayerNorm(s.vision_width), nn.Linear(s.vision_width, s.language_width), nn.GELU(),
            nn.Linear(s.language_width, s.language_width),
        )  # fmt: skip
        self.words = nn.Embedding(256, s.language_width)
        self.language = nn.ModuleList(
            LanguageBlock(s.language_width, s.language_heads, s.language_hidden) for _ in range(s.language_layers)
        )
        self.fusion = nn.ModuleList(
            Block(s.language_width, s.language_width // 64, 4 * s.language_width) for _ in range(s.fusion_layers)
        )
        self.state = nn.Sequential(nn.Linear(s.state, s.action_width), nn.ReLU(), nn.Linear(s.action_width, s.action_width))
        self.encode = nn.Sequential(nn.Linear(s.actions, s.action_width), nn.SiLU(), nn.Linear(s.action_width, s.action_width))
        self.future = nn.Parameter(torch.randn(1, s.future_tokens, s.action_width) * 0.02)
        self.moment = nn.Sequential(nn.Linear(256, s.action_width), nn.SiLU(), nn.Linear(s.action_width, s.action_width))
        self.action = nn.ModuleList(
            ActionBlock(s.action_width, s.action_heads, s.language_width) for _ in range(s.action_layers)
        )
        self.decode = nn.Linear(s.action_width, s.actions)
        # Made once: a copy from the host inside a recording is not allowed.
        length, half = s.cameras * patches + s.text_tokens, s.language_width // s.language_heads // 2
        angles = torch.arange(length)[:, None] / 1e6 ** (torch.arange(half) / half)[None]
        self.register_buffer("cosine", torch.cat((angles, angles), dim=-1).cos())
        self.register_buffer("sine", torch.cat((angles, angles), dim=-1).sin())
        waves = torch.arange(s.steps)[:, None] / s.steps * 1000 / 1e4 ** (torch.arange(128) / 128)[None]
        self.register_buffer("moments", torch.cat((waves.cos(), waves.sin()), dim=-1))

    def forward(self, pixels: torch.Tensor, words: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """uint8 (B, cameras, H, W, 3), int64 (B, text), (B, state), (B, horizon, actions) -> (B, horizon, actions)."""
        batch, kind = pixels.shape[0], self.place.dtype
        x = pixels.flatten(0, 1).permute(0, 3, 1, 2).to(kind) / 127.5 - 1
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        for block in self.vision:
            x = block(x)
        x = torch.cat((self.connect(x).view(batch, -1, self.sizes.language_width), self.words(words)), dim=1)
        for block in self.language:
            x = block(x, (self.cosine, self.sine))
        for block in self.fusion:
            x = block(x)
        robot = self.state(state.to(kind)).unsqueeze(1)
        future, actions = self.future.expand(batch, -1, -1), noise.to(kind)
        for step in range(self.sizes.steps):
            moment = self.moment(self.moments[step]).expand(batch, -1)
            tokens = torch.cat((robot, future, self.encode(actions)), dim=1)
            for block in self.action:
                tokens = block(tokens, x, moment)
            actions = actions + self.decode(tokens[:, -self.sizes.horizon :]) / self.sizes.steps
        return actions


def build(config: dict[str, Any], device: torch.device) -> Network:
    torch.manual_seed(7)
    torch.set_grad_enabled(False)
    with torch.device(device):
        network = Network(Sizes(**config.get("sized", {})))
    return network.to(torch.bfloat16 if device.type == "cuda" else torch.float32).eval()


class SizedPolicy:
    def __init__(self, settings: dict[str, Any], progress: Callable[[str], None]) -> None:
        # Beside child.py, which put its folder on the path: the worker's own recorder.
        from capture import GraphCache

        config = json.loads((Path(settings["directory"]) / "config.json").read_text())
        wanted = settings["device"]
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted)
        if settings["threads"] > 0:
            torch.set_num_threads(settings["threads"])
        progress(f"making random weights on {self.device}")
        self.network = build(config, self.device)
        self.call = torch.compile(self.network) if settings.get("compile") else self.network
        s = self.sizes = self.network.sizes
        self.names = [f"observation.images.camera_{i}" for i in range(s.cameras)]
        self.graphs = GraphCache(self.device, self.predict) if config.get("graph", True) else None
        parameters = sum(value.numel() for value in self.network.parameters())
        self.description = {
            "policy_type": "groot-sized",
            "images": [[name, s.image, s.image] for name in self.names],
            "state_dim": s.state,
            "action_dim": s.actions,
            "chunk_size": s.horizon,
            "supports_prefix": False,
            "max_task_bytes": s.text_tokens,
            "version": f"random weights, {parameters / 1e9:.3f} billion, PyTorch {torch.__version__} on {self.device}",
            "memory_bytes": sum(value.numel() * value.element_size() for value in self.network.parameters()),
        }

    def predict(self, groups: list[Any]) -> torch.Tensor:
        [(_, part, noise)] = groups
        with torch.inference_mode():
            return self.call(part["pixels"], part["words"], part["state"], noise)

    def inputs(self, rows: list[dict[str, Any]], arena: Any) -> list[Any]:
        batch, s = len(rows), self.sizes
        shape = (batch, s.image, s.image, 3)
        views = [torch.frombuffer(arena.view(name, batch), dtype=torch.uint8).view(shape) for name in self.names]
        words = [arena.task(i, row["task_bytes"]).encode().ljust(s.text_tokens)[: s.text_tokens] for i, row in enumerate(rows)]
        state = torch.frombuffer(arena.view("state", batch), dtype=torch.float32).view(batch, s.state)
        noise = torch.zeros(batch, s.horizon, s.actions)
        for i, row in enumerate(rows):
            if row["seed"]:
                noise[i] = torch.randn(noise.shape[1:], generator=torch.Generator().manual_seed(row["seed"] % 2**63))
        part = {
            "pixels": torch.stack([view.to(self.device) for view in views], dim=1),
            "words": torch.tensor([list(word) for word in words]).to(self.device),
            "state": state.to(self.device, copy=True),
        }
        return [(list(range(batch)), part, noise.to(self.device))]

    def warm_up(self, batch: int, arena: Any) -> str | None:
        groups = self.inputs([{"task_bytes": 0, "seed": 0}] * batch, arena)
        if self.graphs:
            return self.graphs.capture(batch, groups)
        self.predict(groups)
        return None

    def run(self, rows: list[dict[str, Any]], arena: Any) -> dict[str, int]:
        started = time.perf_counter_ns()
        groups = self.inputs(rows, arena)
        prepared = time.perf_counter_ns()
        chunk = self.graphs.run(len(rows), groups) if self.graphs else self.predict(groups)
        values = chunk.float().cpu().contiguous().numpy()
        inferred = time.perf_counter_ns()
        arena.view("chunk", len(rows))[:] = values.tobytes()
        return {
            "preprocess": prepared - started,
            "infer": inferred - prepared,
            "postprocess": time.perf_counter_ns() - inferred,
        }


def load_policy(settings: dict[str, Any], progress: Callable[[str], None]) -> SizedPolicy:
    return SizedPolicy(settings, progress)
