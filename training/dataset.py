"""Demonstrations as written by ``groot-sim demonstrate``: flat arrays beside an ``index.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .contract import ACTION_DIM, CHUNK_ROWS, IMAGE_SIZE, JOINTS, MAX_TASK_BYTES, STATE_DIM
from .network import Normalisation

AUX_DIM = 5


@dataclass(frozen=True)
class Demonstrations:
    """All frames of a recording, in memory.

    ``images`` uint8 [F, 2, 96, 96, 3] (head, chest); ``state`` [F, 16] and ``chunk`` [F, 16, 16] in rad and percent;
    ``aux`` [F, 5] = carton x, y, z (m), yaw (rad), phase; ``task`` uint8 [F, 96]. Refuse clips have a NaN pose.
    """

    index: dict[str, Any]
    images: np.ndarray
    state: np.ndarray
    chunk: np.ndarray
    aux: np.ndarray
    task: np.ndarray

    @staticmethod
    def load(directory: Path) -> Demonstrations:
        """Reads a recording; raises ``ValueError`` when the files do not agree in length."""
        index = json.loads((directory / "index.json").read_text())
        image = (2, IMAGE_SIZE, IMAGE_SIZE, 3)
        arrays = {
            "images": np.fromfile(directory / "images.u8", np.uint8).reshape(-1, *image),
            "state": np.fromfile(directory / "state.f32", np.float32).reshape(-1, STATE_DIM),
            "chunk": np.fromfile(directory / "chunk.f32", np.float32).reshape(-1, CHUNK_ROWS, ACTION_DIM),
            "aux": np.fromfile(directory / "aux.f32", np.float32).reshape(-1, AUX_DIM),
            "task": np.fromfile(directory / "task.u8", np.uint8).reshape(-1, MAX_TASK_BYTES),
        }
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the arrays in {directory.name} have different numbers of frames: {lengths}")
        for name in ("state", "chunk"):
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} in {directory.name} contains values that are not finite")
        return Demonstrations(index, **arrays)

    def __len__(self) -> int:
        return len(self.state)

    @property
    def refuses(self) -> np.ndarray:
        """True for every frame of a refuse clip."""
        return np.isnan(self.aux[:, 0])

    def split(self, validation_share: float) -> tuple[np.ndarray, np.ndarray]:
        """Frame numbers for training and for validation: the last frames of the demonstrations and of the clips.

        Neighbouring frames are nearly the same, so the share is cut off as a block and not drawn.
        """
        training, validation = [], []
        for kind in (False, True):
            frames = np.flatnonzero(self.refuses == kind)
            cut = len(frames) - int(len(frames) * validation_share)
            training.append(frames[:cut])
            validation.append(frames[cut:])
        return np.concatenate(training), np.concatenate(validation)

    def normalisation(self) -> Normalisation:
        """Mean and deviation of the state and of the relative action (the latter over the whole chunk)."""
        relative = self.chunk.copy()
        relative[:, :, :JOINTS] -= self.state[:, None, :JOINTS]
        relative = relative.reshape(-1, ACTION_DIM)
        minimum = 1e-3
        return Normalisation(
            torch.from_numpy(self.state.mean(0)),
            torch.from_numpy(np.maximum(self.state.std(0), minimum)),
            torch.from_numpy(relative.mean(0)),
            torch.from_numpy(np.maximum(relative.std(0), minimum)),
        )


@dataclass(frozen=True)
class Batch:
    """One training batch; images are float [B, 3, 96, 96] in 0..1, already augmented."""

    head: Tensor
    chest: Tensor
    state: Tensor
    chunk: Tensor
    task: Tensor
    pose: Tensor
    phase: Tensor


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation. There is no change of hue: colour is the instruction."""

    brightness: float = 0.08
    contrast: float = 0.15
    shift_px: int = 2
    joint_noise: float = 0.004


def make_batch(
    data: Demonstrations, frames: np.ndarray, rng: np.random.Generator, augmentation: Augmentation | None
) -> Batch:
    """Gathers ``frames`` (and augments them, with one image shift per batch)."""
    images = data.images[frames]
    state = data.state[frames]
    scale = np.full((len(frames), 2, 1, 1, 1), 1 / 255, np.float32)
    offset = np.zeros_like(scale)
    if augmentation:
        pixels = np.arange(IMAGE_SIZE)
        down, right = rng.integers(-augmentation.shift_px, augmentation.shift_px + 1, 2)
        images = np.take(images, (pixels + down).clip(0, IMAGE_SIZE - 1), axis=2)
        images = np.take(images, (pixels + right).clip(0, IMAGE_SIZE - 1), axis=3)
        contrast = rng.uniform(1 - augmentation.contrast, 1 + augmentation.contrast, scale.shape)
        brightness = rng.uniform(-augmentation.brightness, augmentation.brightness, scale.shape)
        scale = (contrast / 255).astype(np.float32)
        offset = (0.5 - 0.5 * contrast + brightness).astype(np.float32)
        state = state.copy()
        state[:, :JOINTS] += rng.normal(0, augmentation.joint_noise, (len(frames), JOINTS)).astype(np.float32)
    floats = torch.from_numpy(images).float().mul_(torch.from_numpy(scale)).add_(torch.from_numpy(offset))
    floats = floats.clamp_(0, 1).permute(1, 0, 4, 2, 3)
    aux = torch.from_numpy(data.aux[frames])
    return Batch(
        head=floats[0],
        chest=floats[1],
        state=torch.from_numpy(state),
        chunk=torch.from_numpy(data.chunk[frames]),
        task=torch.from_numpy(data.task[frames]).long(),
        pose=aux[:, :4],
        phase=aux[:, 4].nan_to_num(-1).long(),
    )


def batches(
    data: Demonstrations,
    frames: np.ndarray,
    size: int,
    refuse_share: float,
    rng: np.random.Generator,
    augmentation: Augmentation,
) -> Iterator[Batch]:
    """Endless shuffled batches with a fixed share of refuse frames, both kinds without repeats within an epoch."""
    refuses = data.refuses[frames]
    refuse = int(round(size * refuse_share)) if refuses.any() else 0
    kinds = [_shuffled(frames[~refuses], size - refuse, rng)]
    if refuse:
        kinds.append(_shuffled(frames[refuses], refuse, rng))
    while True:
        yield make_batch(data, np.concatenate([next(kind) for kind in kinds]), rng, augmentation)


def _shuffled(frames: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless groups of ``count`` frames, a new permutation per epoch (a last group that is too small is left out)."""
    if len(frames) < count:
        raise ValueError(f"a batch needs {count} frames of a kind, the recording has {len(frames)}")
    while True:
        order = rng.permutation(frames)
        for start in range(0, len(order) - count + 1, count):
            yield order[start : start + count]
