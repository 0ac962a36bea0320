"""The network of groot-mini: GR00T's shape in miniature, about 1.6 M parameters.

A sentence (raw bytes), two camera images and the measured joints are encoded into one context vector. A small transformer
over 16 action tokens, conditioned on that vector and on the flow time by adaptive layer norm, predicts the velocity that
carries noise (time 0) to an action chunk (time 1). Actions are learnt relative to the measured joints.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .contract import ACTION_DIM, CHUNK_ROWS, IMAGE_SIZE, JOINTS, PHASES, STATE_DIM

LANGUAGE_WIDTH = 64
CONTEXT_WIDTH = 256
TOKEN_WIDTH = 96
EULER_STEPS = 4
PREFIX_RAMP_RATE = 6.0
"""Steepness of GR00T's soft ramp over the rows between the frozen rows and the end of the prefix."""


class Normalisation(NamedTuple):
    """Mean and deviation per dimension: of the state, and of the action relative to the measured joints."""

    state_mean: Tensor
    state_std: Tensor
    action_mean: Tensor
    action_std: Tensor

    @staticmethod
    def identity() -> Normalisation:
        """The normalisation that changes nothing."""
        return Normalisation(
            torch.zeros(STATE_DIM), torch.ones(STATE_DIM), torch.zeros(ACTION_DIM), torch.ones(ACTION_DIM)
        )


class LanguageEncoder(nn.Module):
    """Bytes [B, 96] to a vector [B, 64]: two 1-D convolutions and a maximum over the bytes that are not padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, 24)
        self.first = nn.Conv1d(24, 48, 3, padding=1)
        self.second = nn.Conv1d(48, 64, 3, padding=1)
        self.out = nn.Linear(64, LANGUAGE_WIDTH)

    def forward(self, task: Tensor) -> Tensor:
        present = (task > 0).unsqueeze(1).to(self.embedding.weight.dtype)
        hidden = self.embedding(task).transpose(1, 2) * present
        hidden = F.relu(self.first(hidden)) * present
        hidden = F.relu(self.second(hidden)) * present
        return self.out(hidden.amax(dim=2))


class Modulation(nn.Module):
    """FiLM: the sentence scales and shifts every channel of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(LANGUAGE_WIDTH, 2 * channels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, language: Tensor) -> Tensor:
        scale, shift = self.linear(language).chunk(2, dim=1)
        return features * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


class CameraEncoder(nn.Module):
    """One image [B, 3, 96, 96] in -1..1 and the sentence to a vector [B, 128].

    Half of it are 32 key points (spatial softmax: where is what), half a coarse 3 x 3 picture (what is there).
    """

    KEYPOINTS = 32
    WIDTH = 2 * KEYPOINTS + 64

    def __init__(self) -> None:
        super().__init__()
        self.bfloat16 = False
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.conv4 = nn.Conv2d(48, 64, 3, stride=2, padding=1)
        self.conv5 = nn.Conv2d(64, 64, 3, padding=1)
        self.norm2 = nn.GroupNorm(4, 32)
        self.norm3 = nn.GroupNorm(4, 48)
        self.norm4 = nn.GroupNorm(4, 64)
        self.norm5 = nn.GroupNorm(4, 64)
        self.film3 = Modulation(48)
        self.film5 = Modulation(64)
        self.keypoints = nn.Conv2d(64, self.KEYPOINTS, 1)
        self.coarse = nn.Linear(64 * 9, 64)
        side = IMAGE_SIZE // 8
        axis = torch.linspace(-1, 1, side)
        self.register_buffer("column", axis.repeat(side), persistent=False)
        self.register_buffer("row", axis.repeat_interleave(side), persistent=False)

    def forward(self, image: Tensor, language: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            x, logits = self.features(image, language)
        attention = logits.float().flatten(2).softmax(dim=2)
        points = torch.cat([(attention * self.column).sum(dim=2), (attention * self.row).sum(dim=2)], dim=1)
        coarse = F.relu(self.coarse(F.avg_pool2d(x, 4).float().flatten(1)))
        return torch.cat([points, coarse], dim=1)

    def features(self, image: Tensor, language: Tensor) -> tuple[Tensor, Tensor]:
        """The last feature map [B, 64, 12, 12] and the logits of the key points [B, 32, 12, 12].

        This is most of the arithmetic; training does it in bfloat16 when ``bfloat16`` is set.
        """
        x = F.relu(self.conv1(image))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.film3(self.norm3(self.conv3(x)), language))
        x = F.relu(self.norm4(self.conv4(x)))
        x = F.relu(self.film5(self.norm5(self.conv5(x)), language))
        return x, self.keypoints(x)


class ContextEncoder(nn.Module):
    """Sentence, both images and the standardised state [B, 16] to the context [B, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.language = LanguageEncoder()
        self.head = CameraEncoder()
        self.chest = CameraEncoder()
        self.state = nn.Sequential(nn.Linear(STATE_DIM, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        width = LANGUAGE_WIDTH + 2 * CameraEncoder.WIDTH + 64
        self.mix = nn.Sequential(
            nn.Linear(width, 384), nn.ReLU(), nn.Linear(384, CONTEXT_WIDTH), nn.ReLU()
        )

    def forward(self, head: Tensor, chest: Tensor, state: Tensor, task: Tensor) -> Tensor:
        language = self.language(task)
        parts = [language, self.head(head, language), self.chest(chest, language), self.state(state)]
        return self.mix(torch.cat(parts, dim=1))


class FlowBlock(nn.Module):
    """Self-attention and MLP over the action tokens, each with adaptive layer norm and a gate."""

    HEADS = 4

    def __init__(self) -> None:
        super().__init__()
        self.modulation = nn.Linear(CONTEXT_WIDTH, 6 * TOKEN_WIDTH)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.qkv = nn.Linear(TOKEN_WIDTH, 3 * TOKEN_WIDTH)
        self.proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(TOKEN_WIDTH, 3 * TOKEN_WIDTH), nn.GELU(approximate="tanh"), nn.Linear(3 * TOKEN_WIDTH, TOKEN_WIDTH)
        )

    def forward(self, tokens: Tensor, conditions: Tensor, known: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = select(self.modulation(conditions), known).chunk(6, dim=2)
        hidden = F.layer_norm(tokens, (TOKEN_WIDTH,)) * (1 + scale1) + shift1
        tokens = tokens + gate1 * self.attend(hidden)
        hidden = F.layer_norm(tokens, (TOKEN_WIDTH,)) * (1 + scale2) + shift2
        return tokens + gate2 * self.mlp(hidden)

    def attend(self, hidden: Tensor) -> Tensor:
        """Full self-attention over the tokens [B, 16, 96]."""
        size = TOKEN_WIDTH // self.HEADS
        qkv = self.qkv(hidden).reshape(-1, CHUNK_ROWS, 3, self.HEADS, size).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        weights = torch.matmul(query, key.transpose(2, 3)) * (1 / math.sqrt(size))
        mixed = torch.matmul(weights.softmax(dim=3), value)
        return self.proj(mixed.transpose(1, 2).reshape(-1, CHUNK_ROWS, TOKEN_WIDTH))


def select(pair: Tensor, known: Tensor) -> Tensor:
    """Per token one of two rows of ``pair`` [B, 2, W]: row 1 where ``known`` [B, 16, 1] is true, else row 0."""
    return torch.where(known, pair[:, 1:2], pair[:, 0:1])


class FlowHead(nn.Module):
    """Velocity of the flow for 16 action tokens.

    Every token has its own time: the flow's time, or 1 (finished) for a token that is known, so that a chunk can be
    continued from rows that the robot is already executing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(ACTION_DIM, TOKEN_WIDTH)
        self.position = nn.Parameter(torch.randn(1, CHUNK_ROWS, TOKEN_WIDTH) * 0.2)
        self.context = nn.Linear(CONTEXT_WIDTH, CONTEXT_WIDTH)
        self.time = nn.Sequential(nn.Linear(64, CONTEXT_WIDTH), nn.SiLU(), nn.Linear(CONTEXT_WIDTH, CONTEXT_WIDTH))
        self.blocks = nn.ModuleList(FlowBlock() for _ in range(3))
        self.modulation = nn.Linear(CONTEXT_WIDTH, 2 * TOKEN_WIDTH)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.out = nn.Linear(TOKEN_WIDTH, ACTION_DIM)
        frequencies = torch.exp(torch.linspace(0, math.log(100.0), 32))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, actions: Tensor, time: Tensor, known: Tensor, context: Tensor) -> Tensor:
        """``actions`` [B, 16, 16] standardised, ``time`` [B], ``known`` bool [B, 16, 1], ``context`` [B, 256]."""
        times = torch.stack([time, torch.ones_like(time)], dim=1)
        angle = times[:, :, None] * self.frequencies
        embedded = self.time(torch.cat([angle.sin(), angle.cos()], dim=2))
        conditions = F.silu(self.context(context)[:, None] + embedded)
        tokens = self.embed(actions) + self.position
        for block in self.blocks:
            tokens = block(tokens, conditions, known)
        shift, scale = select(self.modulation(conditions), known).chunk(2, dim=2)
        return self.out(F.layer_norm(tokens, (TOKEN_WIDTH,)) * (1 + scale) + shift)


class Predictions(NamedTuple):
    """What the training heads say about a context: chunk [B, 16, 16], carton pose [B, 4], phase logits [B, 9]."""

    chunk: Tensor
    pose: Tensor
    phase: Tensor


class TrainingHeads(nn.Module):
    """Heads that only shape the context in training and are not exported: plain regression, carton pose and phase."""

    def __init__(self) -> None:
        super().__init__()
        self.chunk = nn.Sequential(
            nn.Linear(CONTEXT_WIDTH, 384), nn.ReLU(), nn.Linear(384, CHUNK_ROWS * ACTION_DIM)
        )
        self.pose = nn.Linear(CONTEXT_WIDTH, 4)
        self.phase = nn.Linear(CONTEXT_WIDTH, len(PHASES))

    def forward(self, context: Tensor) -> Predictions:
        chunk = self.chunk(context).reshape(-1, CHUNK_ROWS, ACTION_DIM)
        return Predictions(chunk, self.pose(context), self.phase(context))


class GrootMini(nn.Module):
    """The complete network with its normalisation."""

    def __init__(self, normalisation: Normalisation | None = None) -> None:
        super().__init__()
        self.encoder = ContextEncoder()
        self.flow = FlowHead()
        self.training_heads = TrainingHeads()
        for name, value in (normalisation or Normalisation.identity())._asdict().items():
            self.register_buffer(name, value.float())

    def use_bfloat16(self, enabled: bool) -> None:
        """Whether the convolutions run in bfloat16 (training only; the exported graph is float32)."""
        self.encoder.head.bfloat16 = enabled
        self.encoder.chest.bfloat16 = enabled

    def encode(self, head: Tensor, chest: Tensor, state: Tensor, task: Tensor) -> Tensor:
        """Context of float images [B, 3, 96, 96] in 0..1, raw state and bytes of the sentence."""
        standard = (state - self.state_mean) / self.state_std
        return self.encoder(head * 2 - 1, chest * 2 - 1, standard, task)

    def to_relative(self, actions: Tensor, state: Tensor) -> Tensor:
        """Absolute targets [B, 16, 16] to standardised targets relative to the measured joints (claws stay absolute)."""
        return (actions - anchor(state) - self.action_mean) / self.action_std

    def to_absolute(self, relative: Tensor, state: Tensor) -> Tensor:
        """The inverse of ``to_relative``."""
        return relative * self.action_std + self.action_mean + anchor(state)


def anchor(state: Tensor) -> Tensor:
    """What actions are relative to [B, 1, 16]: the measured arm joints, zero for the claws."""
    return torch.cat([state[:, :JOINTS], torch.zeros_like(state[:, JOINTS:])], dim=1)[:, None]


class Sampler(nn.Module):
    """The exported graph: observation, noise and optional prefix to a chunk of absolute targets.

    Prefix rows [0, frozen_rows) are kept as they are. Rows [frozen_rows, prefix_rows) start from the prefix instead of
    from noise and follow GR00T's native ramp: their velocity is scaled by 1 - exp(-6 s), normalised to 1 at s = 1, where
    s grows linearly over these rows. Rows from prefix_rows on are plain sampling; with prefix_rows = 0 all of them are.
    """

    def __init__(self, network: GrootMini) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("row", torch.arange(CHUNK_ROWS, dtype=torch.float32)[None], persistent=False)

    def forward(
        self,
        head: Tensor,
        chest: Tensor,
        state: Tensor,
        task: Tensor,
        noise: Tensor,
        prefix: Tensor,
        prefix_rows: Tensor,
        frozen_rows: Tensor,
    ) -> Tensor:
        network = self.network
        head = head.permute(0, 3, 1, 2).float() * (1 / 255)
        chest = chest.permute(0, 3, 1, 2).float() * (1 / 255)
        context = network.encode(head, chest, state, task.clamp(0, 255))

        overlap = prefix_rows.clamp(0, CHUNK_ROWS).float()[:, None]
        frozen = torch.minimum(frozen_rows.clamp(0, CHUNK_ROWS).float()[:, None], overlap)
        in_prefix = (self.row < overlap)[:, :, None]
        known = (self.row < frozen)[:, :, None]
        progress = ((self.row - frozen + 1) / (overlap - frozen + 1)).clamp(0, 1)
        ramp = (1 - torch.exp(-PREFIX_RAMP_RATE * progress)) * (1 / (1 - math.exp(-PREFIX_RAMP_RATE)))
        ramp = ramp[:, :, None]
        strength = torch.where(in_prefix, ramp, torch.ones_like(ramp))
        strength = torch.where(known, torch.zeros_like(strength), strength)

        usable = torch.where(in_prefix, prefix, torch.zeros_like(prefix))
        actions = torch.where(in_prefix, network.to_relative(usable, state), noise)
        for step in range(EULER_STEPS):
            time = torch.full_like(state[:, 0], step / EULER_STEPS)
            velocity = network.flow(actions, time, known, context)
            actions = actions + velocity * strength * (1 / EULER_STEPS)
        absolute = network.to_absolute(actions, state)
        absolute = torch.cat([absolute[:, :, :JOINTS], absolute[:, :, JOINTS:].clamp(0, 100)], dim=2)
        return torch.where(known, usable, absolute)
