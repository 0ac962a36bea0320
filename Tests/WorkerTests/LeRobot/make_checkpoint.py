"""Makes LeRobot checkpoints with random weights and what LeRobot itself answers with them; used by LeRobotSerialTests.swift.

    python make_checkpoint.py act|diffusion|smolvla|groot|groot17|groot17-relative FOLDER

`groot` is GR00T N1.5 (LeRobot 0.4, 0.5), `groot17` is N1.7 (LeRobot 0.6): a LeRobot has one of them.

FOLDER gets `pretrained_model/` (saved by LeRobot), `dataset/meta/info.json` (names and rate) and `expected.json`: observations
(pixels by a generator that the Swift test repeats) with the chunk of `predict_action_chunk` between LeRobot's processors,
one observation at a time and step by step, as LeRobot's own policy server does it. For flow-matching policies there is also
`continued`: the same observations with the rest of a previous chunk (continued.py).
"""

import contextlib
import json
import os
import pathlib
import sys
import unittest.mock

os.environ["HF_HUB_OFFLINE"] = "1"
if sys.argv[1:2] == ["groot"]:
    # Read when LeRobot is imported; the worker's child gets the same from the test.
    os.environ["HF_LEROBOT_HOME"] = str(pathlib.Path(sys.argv[2]).resolve() / "home")

import torch  # noqa: E402
from continued import continued  # noqa: E402
from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors  # noqa: E402

STATE_NAMES = ["left", "right", "lift", "claw"]
ACTION_NAMES = ["left", "right", "lift", "claw_position"]
IMAGES = {"observation.images.head": (3, 48, 64), "observation.images.chest": (3, 48, 64)}
TASKS = ["Depalletize the green box", "Depalletize the brown box", "Stack it"]


def pixels(seed: int, height: int, width: int) -> torch.Tensor:
    """Linear congruence, top byte: the same in Swift."""
    state, out = seed, bytearray()
    for _ in range(height * width * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return torch.frombuffer(out, dtype=torch.uint8).view(height, width, 3)


def configuration(kind: str, folder: pathlib.Path):
    features = {
        "input_features": {
            **{key: PolicyFeature(type=FeatureType.VISUAL, shape=shape) for key, shape in IMAGES.items()},
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(len(STATE_NAMES),)),
        },
        "output_features": {"action": PolicyFeature(type=FeatureType.ACTION, shape=(len(ACTION_NAMES),))},
        "device": "cpu",
    }
    if kind == "act":
        return make_policy_config(
            "act", chunk_size=12, n_action_steps=12, dim_model=64, n_heads=4, dim_feedforward=128, n_encoder_layers=1,
            n_vae_encoder_layers=1, latent_dim=8, pretrained_backbone_weights=None, **features,
        )  # fmt: skip
    if kind == "diffusion":
        return make_policy_config(
            "diffusion", horizon=8, n_action_steps=7, n_obs_steps=2, down_dims=(16, 32), num_inference_steps=2,
            noise_scheduler_type="DDIM", crop_shape=None, pretrained_backbone_weights=None, spatial_softmax_num_keypoints=8,
            **features,
        )  # fmt: skip
    if kind == "smolvla":
        from tiny_assets import save_smolvlm

        save_smolvlm(folder / "vlm")
        return make_policy_config(
            "smolvla", vlm_model_name=str(folder / "vlm"), chunk_size=12, n_action_steps=12, num_vlm_layers=2, num_steps=4,
            resize_imgs_with_padding=(64, 64), **features,
        )  # fmt: skip
    if kind == "groot":
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "Sources/Worker/Python"))
        from groot import without_flash_attention
        from tiny_assets import save_eagle, save_groot_base

        without_flash_attention()
        save_eagle(folder / "home/lerobot/eagle2hg-processor-groot-n1p5")
        save_groot_base(folder / "base")
        return make_policy_config("groot", base_model_path=str(folder / "base"), use_bf16=False, **features)
    if kind.startswith("groot17"):
        from tiny_assets import save_groot17_base, save_qwen

        save_qwen(folder / "vlm")
        save_groot17_base(folder / "base", folder / "vlm")
        return make_policy_config("groot", base_model_path=str(folder / "base"), use_bf16=False, **features)
    raise SystemExit(f"unknown kind {kind}")


def in_robot_units(chunk: torch.Tensor, after, whole: bool = False) -> list[list[float]]:
    if whole:
        return after(chunk)[0].tolist()
    return torch.stack([after(chunk[:, i, :]) for i in range(chunk.shape[1])], dim=1)[0].tolist()


def make_relative(target: pathlib.Path) -> None:
    """Turns a saved GR00T N1.7 into one whose 16 of 40 actions are relative to the state, as NVIDIA's checkpoints have it."""
    rows = 16
    whole = {"min": [-1.0, -2.0, 0.0, 0.0], "max": [1.0, 2.0, 1.0, 100.0], "mean": [0.0] * 4}
    steps = {"min": [[-0.1 * row] * 4 for row in range(1, rows + 1)], "max": [[0.1 * row] * 4 for row in range(1, rows + 1)]}
    arm = {"rep": "relative", "type": "non_eef", "format": "default", "state_key": "arm"}
    shared = {
        "raw_stats": {"state": {"arm": whole}, "action": {"arm": whole}, "relative_action": {"arm": steps}},
        "modality_config": {
            "state": {"modality_keys": ["arm"]},
            "action": {"modality_keys": ["arm"], "action_configs": [arm], "delta_indices": list(range(rows))},
        },
    }
    path = target / "policy_preprocessor.json"
    pipeline = json.loads(path.read_text())
    pack = next(step for step in pipeline["steps"] if step["registry_name"] == "groot_n1_7_pack_inputs_v1")
    pack["config"] |= {**shared, "valid_action_horizon": rows}
    path.write_text(json.dumps(pipeline))
    path = target / "policy_postprocessor.json"
    pipeline = json.loads(path.read_text())
    decode = {**shared, "env_action_dim": len(ACTION_NAMES), "use_relative_action": True}
    pipeline["steps"][0] = {"registry_name": "groot_n1_7_action_decode_v1", "config": decode}
    path.write_text(json.dumps(pipeline))


def main() -> None:
    kind, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    config = configuration(kind, folder)
    policy = get_policy_class(config.type)(config)
    policy.eval()
    statistics = {
        "observation.state": {
            "mean": torch.tensor([0.1, -0.2, 0.3, 50.0]), "std": torch.tensor([1.0, 2.0, 0.5, 30.0]),
            "min": torch.tensor([-1.0, -2.0, 0.0, 0.0]), "max": torch.tensor([1.0, 2.0, 1.0, 100.0]),
        },
        "action": {
            "mean": torch.tensor([0.0, 0.5, -0.5, 40.0]), "std": torch.tensor([1.5, 0.7, 1.1, 20.0]),
            "min": torch.tensor([-1.0, -2.0, 0.0, 0.0]), "max": torch.tensor([1.0, 2.0, 1.0, 100.0]),
        },
        **{
            key: {"mean": torch.full((3, 1, 1), 0.5), "std": torch.full((3, 1, 1), 0.25),
                  "min": torch.zeros(3, 1, 1), "max": torch.ones(3, 1, 1)}
            for key in IMAGES
        },
    }  # fmt: skip
    before, after = make_pre_post_processors(config, dataset_stats=statistics)
    for step in before.steps:
        if kind.startswith("groot17") and hasattr(step, "model_name"):
            step.model_name = str(folder / "vlm")
    target = folder / "pretrained_model"
    policy.save_pretrained(target)
    before.save_pretrained(target)
    after.save_pretrained(target)
    relative = kind == "groot17-relative"
    if relative:
        make_relative(target)
        before, after = make_pre_post_processors(config, pretrained_path=str(target))
    (folder / "dataset/meta").mkdir(parents=True)
    (folder / "dataset/meta/info.json").write_text(
        json.dumps(
            {
                "codebase_version": "v3.0",
                "fps": 20,
                "features": {
                    "observation.state": {"dtype": "float32", "shape": [4], "names": STATE_NAMES},
                    "action": {"dtype": "float32", "shape": [4], "names": ACTION_NAMES},
                    **{
                        key: {"dtype": "video", "shape": list(shape), "names": ["channels", "height", "width"]}
                        for key, shape in IMAGES.items()
                    },
                },
            }
        )
    )
    answers = []
    for number in range(4):
        task = TASKS[number % len(TASKS)]
        state = [0.1 * number, -0.3, 0.5, 20.0 * number]
        observation = {}
        for offset, (key, (_, height, width)) in enumerate(sorted(IMAGES.items())):
            image = pixels(100 * number + offset, height, width)
            observation[key] = (image.permute(2, 0, 1).type(torch.float32) / 255).contiguous().unsqueeze(0)
        observation["observation.state"] = torch.tensor([state])
        observation["task"] = task
        with torch.no_grad():
            prepared = before(observation)
            extra = {}
            if kind == "diffusion":
                prepared = {key: value for key, value in prepared.items() if value is not None}
                prepared["observation.images"] = torch.stack([prepared[key] for key in config.image_features], dim=-4)
                for key, queue in policy._queues.items():
                    if key in prepared:
                        queue.extend([prepared[key]] * queue.maxlen)
                extra["noise"] = torch.zeros(1, config.horizon, len(ACTION_NAMES))
            if kind == "smolvla":
                extra["noise"] = torch.zeros(1, config.chunk_size, config.max_action_dim)
            # The action heads of GR00T draw noise by themselves: zero, as the worker's rows without a seed have it.
            draw = unittest.mock.patch("torch.randn", lambda size, **options: torch.zeros(size, **options))
            with draw if config.type == "groot" else contextlib.nullcontext():
                chunk = policy.predict_action_chunk(dict(prepared), **extra)
                answer = {"task": task, "state": state, "chunk": in_robot_units(chunk, after, relative)}
                if kind in ("smolvla", "groot", "groot17") and number:
                    prefix, frozen, chunk = continued(kind, policy, prepared, number)
                    answer |= {"prefix": prefix, "frozen": frozen, "continued": in_robot_units(chunk, after)}
        answers.append(answer)
    (folder / "expected.json").write_text(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main()
