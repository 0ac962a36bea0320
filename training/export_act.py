"""Turns a LeRobot ACT checkpoint into `model.onnx` with normalisation inside, and compares it with PyTorch.

    python training/export_act.py --checkpoint RUN/checkpoints/020000/pretrained_model --dataset DATASET --out policies/act

Needs a Python with LeRobot (0.4 or later), onnx and onnxruntime. The result runs on the worker's ONNX runtime: any batch size, no
Python. The small policy of this project has its own exporter, training/export.py.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from lerobot.configs.policies import PreTrainedConfig  # noqa: E402
from lerobot.policies.factory import get_policy_class, make_pre_post_processors  # noqa: E402

STATE = "observation.state"
OPSET = 17
RELATIVE_TOLERANCE = 1e-4
"""Largest accepted difference between PyTorch and ONNX Runtime, as a share of the largest action."""


class Normalisation(torch.nn.Module):
    """One feature's affine map, read off LeRobot's own step by asking it for two points: right for every mode."""

    def __init__(self, apply: Any, size: tuple[int, ...]) -> None:
        super().__init__()
        low, high = apply(torch.zeros(1, *size)), apply(torch.ones(1, *size))
        self.register_buffer("scale", (high - low).detach().clone())
        self.register_buffer("offset", low.detach().clone())
        probe = torch.rand(1, *size) * 3 - 1
        if not torch.allclose(apply(probe), self(probe), atol=1e-4, rtol=1e-4):
            raise SystemExit("a processor step is not affine; this checkpoint needs the worker's LeRobot runtime")

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value * self.scale + self.offset


class ExportedACT(torch.nn.Module):
    """Raw images and state in, actions in the robot's units out."""

    def __init__(self, policy: Any, before: Any, after: Any) -> None:
        super().__init__()
        self.model = policy.model
        self.config = policy.config
        self.keys = sorted(policy.config.image_features)

        def prepared(key: str) -> Any:
            def apply(value: torch.Tensor) -> torch.Tensor:
                shapes = {k: f.shape for k, f in policy.config.input_features.items()}
                observation = {k: torch.zeros(1, *shape) for k, shape in shapes.items()}
                observation[key] = value
                return before(dict(observation))[key]

            return apply

        features = policy.config.input_features
        self.images = torch.nn.ModuleList(Normalisation(prepared(key), tuple(features[key].shape)) for key in self.keys)
        self.state = Normalisation(prepared(STATE), tuple(features[STATE].shape))
        width = policy.config.output_features["action"].shape[0]
        self.action = Normalisation(lambda value: after(value), (width,))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        *pixels, state = inputs
        batch = {STATE: self.state(state)}
        ordered = {}
        for key, image, normalise in zip(self.keys, pixels, self.images, strict=True):
            ordered[key] = normalise(image.permute(0, 3, 1, 2).to(torch.float32) / 255)
        batch["observation.images"] = [ordered[key] for key in self.config.image_features]
        return self.action(self.model(batch)[0])


def names_of(dataset: Path, feature: str, count: int) -> list[str]:
    found = json.loads((dataset / "meta/info.json").read_text())["features"][feature]["names"]
    flat = found if isinstance(found, list) else [name for key in sorted(found) for name in found[key]]
    if len(flat) != count:
        raise SystemExit(f"{dataset} names {len(flat)} values of {feature}, the checkpoint has {count}")
    return flat


def random_inputs(network: ExportedACT, batch: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    features = network.config.input_features
    inputs: dict[str, np.ndarray] = {}
    for key in network.keys:
        _, height, width = features[key].shape
        inputs[key] = generator.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    inputs[STATE] = generator.normal(size=(batch, features[STATE].shape[0])).astype(np.float32)
    return inputs


def by_lerobot(policy: Any, before: Any, after: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What LeRobot's own path answers, step by step as its server does it."""
    observation = {
        key: torch.from_numpy(value).permute(0, 3, 1, 2).type(torch.float32) / 255 if key != STATE else torch.from_numpy(value)
        for key, value in inputs.items()
    }
    with torch.no_grad():
        chunk = policy.predict_action_chunk(before(observation))
        return torch.stack([after(chunk[:, i, :]) for i in range(chunk.shape[1])], dim=1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a pretrained_model directory of an ACT policy")
    parser.add_argument("--dataset", type=Path, required=True, help="the LeRobot data set: names of states and actions, rate")
    parser.add_argument("--out", type=Path, required=True, help="directory to write config.json and model.onnx to")
    arguments = parser.parse_args()

    config = PreTrainedConfig.from_pretrained(str(arguments.checkpoint), local_files_only=True)
    if config.type != "act":
        raise SystemExit(f"{arguments.checkpoint} is a {config.type} policy; only ACT is one plain function of its inputs")
    config.device = "cpu"
    policy = get_policy_class("act").from_pretrained(str(arguments.checkpoint), config=config, local_files_only=True).eval()
    before, after = make_pre_post_processors(
        config, pretrained_path=str(arguments.checkpoint), preprocessor_overrides={"device_processor": {"device": "cpu"}}
    )
    network = ExportedACT(policy, before, after).eval()
    example = random_inputs(network, 2, 0)
    names = [*network.keys, STATE]
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "model.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(example[name]) for name in names),
            str(path),
            input_names=names,
            output_names=["action"],
            dynamic_axes={name: {0: "batch"} for name in (*names, "action")},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst, largest = 0.0, 1e-6
    for batch in (1, 2, 3, 8):
        inputs = random_inputs(network, batch, batch)
        expected = by_lerobot(policy, before, after, inputs)
        got = session.run(["action"], inputs)[0]
        worst, largest = max(worst, float(np.abs(got - expected).max())), max(largest, float(np.abs(expected).max()))
    if not worst <= RELATIVE_TOLERANCE * largest:
        raise SystemExit(f"ONNX differs from LeRobot by {worst:.3g} (largest action {largest:.3g}); nothing was written for use")

    info = json.loads((arguments.dataset / "meta/info.json").read_text())
    shapes = {key: {"type": "VISUAL", "shape": list(config.input_features[key].shape)} for key in network.keys}
    state, action = config.input_features[STATE].shape[0], config.output_features["action"].shape[0]
    description = {
        "type": "act",
        "n_obs_steps": 1,
        "chunk_size": config.chunk_size,
        "n_action_steps": config.n_action_steps,
        "input_features": {**shapes, STATE: {"type": "STATE", "shape": [state]}},
        "output_features": {"action": {"type": "ACTION", "shape": [action]}},
        "groot": {
            "action_period_s": 1 / info["fps"],
            "state_names": names_of(arguments.dataset, STATE, state),
            "action_names": names_of(arguments.dataset, "action", action),
            # ACT reads no sentence: any that a robot says is accepted and has no influence.
            "max_task_bytes": 1024,
            "supports_prefix": False,
        },
    }
    (arguments.out / "config.json").write_text(json.dumps(description, indent=2) + "\n")
    print(json.dumps({"largest_difference": worst, "largest_action": largest, "onnx_bytes": path.stat().st_size}))


if __name__ == "__main__":
    main()
