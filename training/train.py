"""Behaviour cloning of the scripted expert: one stage, refuse clips mixed in from the start."""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .contract import ACTION_DIM, CHUNK_ROWS, JOINTS
from .dataset import Augmentation, Batch, Demonstrations, batches, make_batch
from .network import EULER_STEPS, GrootMini


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result besides the demonstrations."""

    steps: int = 3000
    minutes: float | None = None
    """The schedule also ends after this much wall time; then the result depends on how busy the machine was."""
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup: int = 100
    final_rate: float = 0.03
    clip: float = 1.0
    ema: float = 0.999
    refuse_share: float = 0.1
    flow_draws: int = 2
    """Noise and time are drawn this often per frame; the flow head is cheap compared with the camera encoders."""
    prefix_share: float = 0.4
    longest_prefix: int = 6
    validation_share: float = 0.03
    seed: int = 1
    bfloat16: bool = True


def learning_rate(step: int, progress: float, settings: Settings) -> float:
    """Linear warm-up over the first steps, times a cosine over ``progress`` 0..1 down to ``final_rate``."""
    warmup = min(1.0, (step + 1) / settings.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return settings.learning_rate * warmup * (settings.final_rate + (1 - settings.final_rate) * cosine)


@dataclass(frozen=True)
class PoseScale:
    """Standardises the auxiliary carton pose (x, y, z in m, yaw in rad)."""

    mean: Tensor
    std: Tensor

    @staticmethod
    def of(data: Demonstrations) -> PoseScale:
        pose = data.aux[~data.refuses, :4]
        return PoseScale(torch.from_numpy(pose.mean(0)), torch.from_numpy(np.maximum(pose.std(0), 1e-3)))


def losses(
    network: GrootMini, batch: Batch, pose_scale: PoseScale, settings: Settings, generator: torch.Generator
) -> dict[str, Tensor]:
    """The parts of the loss: flow velocity, plain regression, carton pose, phase.

    With probability ``prefix_share`` the first 1 .. ``longest_prefix`` tokens are given clean, at time 1, and do not
    count: so the head learns to continue a chunk whose first rows are already being executed.
    """
    context = network.encode(batch.head, batch.chest, batch.state, batch.task)
    single_target = network.to_relative(batch.chunk, batch.state)

    target = single_target.repeat(settings.flow_draws, 1, 1)
    size = len(target)
    noise = torch.randn(target.shape, generator=generator)
    flow_time = torch.rand(size, generator=generator)
    rows = torch.randint(1, settings.longest_prefix + 1, (size,), generator=generator)
    rows = rows * (torch.rand(size, generator=generator) < settings.prefix_share)
    known = (torch.arange(CHUNK_ROWS)[None] < rows[:, None])[:, :, None]
    mixed = noise + flow_time[:, None, None] * (target - noise)
    velocity = network.flow(torch.where(known, target, mixed), flow_time, known, context.repeat(settings.flow_draws, 1))
    counted = (~known).float()
    flow = ((velocity - (target - noise)).square() * counted).sum() / (counted.sum() * ACTION_DIM)

    predictions = network.training_heads(context)
    has_pose = ~batch.pose[:, 0].isnan()
    pose = (batch.pose[has_pose] - pose_scale.mean) / pose_scale.std
    return {
        "flow": flow,
        "regression": F.l1_loss(predictions.chunk, single_target),
        "pose": F.smooth_l1_loss(predictions.pose[has_pose], pose),
        "phase": 0.1 * F.cross_entropy(predictions.phase, batch.phase, ignore_index=-1),
    }


@torch.no_grad()
def validate(
    network: GrootMini, data: Demonstrations, frames: np.ndarray, pose_scale: PoseScale
) -> dict[str, float]:
    """Errors on frames that were not trained on; joint errors are means over the chunk, in rad."""
    network.eval()
    network.use_bfloat16(False)
    generator = torch.Generator().manual_seed(0)
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}

    def add(name: str, values: Tensor) -> None:
        sums[name] = sums.get(name, 0.0) + float(values.sum())
        counts[name] = counts.get(name, 0) + values.numel()

    for start in range(0, len(frames), 128):
        batch = make_batch(data, frames[start : start + 128], np.random.default_rng(0), None)
        context = network.encode(batch.head, batch.chest, batch.state, batch.task)
        predictions = network.training_heads(context)
        actions = torch.randn(batch.chunk.shape, generator=generator)
        known = torch.zeros(len(context), CHUNK_ROWS, 1, dtype=torch.bool)
        for step in range(EULER_STEPS):
            time_now = torch.full((len(context),), step / EULER_STEPS)
            actions = actions + network.flow(actions, time_now, known, context) / EULER_STEPS
        flow_error = (network.to_absolute(actions, batch.state) - batch.chunk).abs()
        regression_error = (network.to_absolute(predictions.chunk, batch.state) - batch.chunk).abs()
        has_pose = ~batch.pose[:, 0].isnan()
        add("flow_joint_rad", flow_error[has_pose][:, :, :JOINTS])
        add("flow_claw_percent", flow_error[:, :, JOINTS:])
        add("refuse_joint_rad", flow_error[~has_pose][:, :, :JOINTS])
        add("regression_joint_rad", regression_error[:, :, :JOINTS])
        pose_error = (predictions.pose * pose_scale.std + pose_scale.mean - batch.pose).abs()[has_pose]
        add("carton_mm", 1000 * pose_error[:, :3])
        add("carton_yaw_rad", pose_error[:, 3])
        labelled = batch.phase >= 0
        add("phase_accuracy", (predictions.phase.argmax(1) == batch.phase)[labelled].float())
    return {name: round(total / max(1, counts[name]), 5) for name, total in sums.items()}


def save(path: Path, network: GrootMini, log: dict[str, object]) -> None:
    """Writes weights and the log so far (through a temporary file, so that a reader never sees half of it)."""
    temporary = path.with_suffix(".tmp")
    torch.save({"network": network.state_dict()}, temporary)
    temporary.replace(path)
    path.with_suffix(".json").write_text(json.dumps(log, indent=1) + "\n")


def train(
    data: Demonstrations, directory: Path, settings: Settings, start: Path | None = None, every: int = 300
) -> GrootMini:
    """Trains and returns the network with averaged weights; checkpoints and the log are written to ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    training, validation = data.split(settings.validation_share)
    pose_scale = PoseScale.of(data)
    network = GrootMini(data.normalisation())
    if start:
        network.load_state_dict(torch.load(start, weights_only=True)["network"])
    network = network.to(memory_format=torch.channels_last)
    network.use_bfloat16(settings.bfloat16)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    source = batches(data, training, settings.batch, settings.refuse_share, rng, Augmentation())

    curve: list[dict[str, float]] = []
    validations: list[dict[str, float]] = []
    log: dict[str, object] = {
        "settings": vars(settings),
        "frames": len(training),
        "refuse_frames": int(data.refuses[training].sum()),
        "parameters": sum(p.numel() for p in network.parameters()),
        "curve": curve,
        "validation": validations,
    }
    began = time.monotonic()
    recent: dict[str, float] = {}
    network.train()
    done = 0
    finished = False
    while not finished:
        step = done
        progress = step / settings.steps
        if settings.minutes:
            progress = max(progress, (time.monotonic() - began) / (60 * settings.minutes))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, progress, settings)
        parts = losses(network, next(source), pose_scale, settings, generator)
        optimiser.zero_grad(set_to_none=True)
        sum(parts.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
        decay = min(settings.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
        for name, value in parts.items():
            recent[name] = recent.get(name, 0.0) + float(value.detach())
        done = step + 1
        finished = done == settings.steps or progress >= 1
        if done % 50 == 0:
            seconds = time.monotonic() - began
            point = {"step": done, "seconds": round(seconds, 1)} | {k: round(v / 50, 5) for k, v in recent.items()}
            curve.append(point)
            recent = {}
            print(json.dumps(point), flush=True)
        if done % every == 0 or finished:
            result = {"step": done} | validate(average, data, validation, pose_scale)
            validations.append(result)
            log["steps_done"] = done
            log["finished"] = finished
            log["seconds"] = round(time.monotonic() - began, 1)
            print(json.dumps(result), flush=True)
            save(directory / "weights.pt", average, log)
    return average.eval()


def main() -> None:
    """Trains on a recording of ``groot-sim demonstrate``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--demonstrations", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="directory for weights.pt and weights.json (the log)")
    parser.add_argument("--start", type=Path, help="continue from these weights (a second stage)")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--minutes", type=float, default=Settings.minutes, help="limit of wall time")
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--learning-rate", type=float, default=Settings.learning_rate)
    parser.add_argument("--flow-draws", type=int, default=Settings.flow_draws)
    parser.add_argument("--refuse-share", type=float, default=Settings.refuse_share)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=300, help="steps between checkpoints")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 convolutions (CPUs without avx512_bf16)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = Settings(
        steps=arguments.steps,
        minutes=arguments.minutes,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        flow_draws=arguments.flow_draws,
        refuse_share=arguments.refuse_share,
        seed=arguments.seed,
        bfloat16=not arguments.float32,
    )
    train(Demonstrations.load(arguments.demonstrations), arguments.out, settings, arguments.start, arguments.every)


if __name__ == "__main__":
    main()
