"""Makes LeRobot checkpoints with random weights and what LeRobot itself answers with them; used by LeRobotSerialTests.swift.

    python make_checkpoint.py act|diffusion|smolvla|groot FOLDER

FOLDER gets `pretrained_model/` (saved by LeRobot), `dataset/meta/info.json` (names and rate) and `expected.json`: observations
(pixels by a generator that the Swift test repeats) with the chunk of `predict_action_chunk` between LeRobot's processors,
one observation at a time and step by step, as LeRobot's own policy server does it. For flow-matching policies there is also
`continued`: the same observations with the rest of a previous chunk, by a plain loop over LeRobot's own velocity.
"""

import json
import math
import os
import pathlib
import sys
import unittest.mock

os.environ["HF_HUB_OFFLINE"] = "1"
if sys.argv[1:2] == ["groot"]:
    # Read when LeRobot is imported; the worker's child gets the same from the test.
    os.environ["HF_LEROBOT_HOME"] = str(pathlib.Path(sys.argv[2]).resolve() / "home")

import torch  # noqa: E402
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
    raise SystemExit(f"unknown kind {kind}")


def in_robot_units(chunk: torch.Tensor, after) -> list[list[float]]:
    return torch.stack([after(chunk[:, i, :]) for i in range(chunk.shape[1])], dim=1)[0].tolist()


def continued(policy, prepared: dict, before, after, number: int) -> dict:
    """Real-time chunking row by row: the prefix in the noise, velocity 0, rising and 1. Overlaps and delays differ."""
    from lerobot.policies.smolvla.modeling_smolvla import make_att_2d_masks

    overlap, frozen, rate = 4 + number, number - 1, 6.0
    prefix = [[0.1 * row + 0.2 * joint for joint in range(3)] + [30.0 + row] for row in range(overlap)]
    model, config = policy.model, policy.config
    mean, std = torch.tensor([0.0, 0.5, -0.5, 40.0]), torch.tensor([1.5, 0.7, 1.1, 20.0])
    x = torch.zeros(1, config.chunk_size, config.max_action_dim)
    x[0, :overlap, :4] = (torch.tensor(prefix) - mean) / (std + 1e-8)
    share = []
    for row in range(config.chunk_size):
        if row < frozen:
            share.append(0.0)
        elif row < overlap:
            place = (row - frozen + 1) / (overlap - frozen + 1)
            share.append((1 - math.exp(-rate * place)) / (1 - math.exp(-rate)))
        else:
            share.append(1.0)
    images, masks = policy.prepare_images(prepared)
    embedded, padding, attention = model.embed_prefix(
        images, masks, prepared["observation.language.tokens"], prepared["observation.language.attention_mask"],
        state=policy.prepare_state(prepared),
    )  # fmt: skip
    _, cache = model.vlm_with_expert.forward(
        attention_mask=make_att_2d_masks(padding, attention), position_ids=torch.cumsum(padding, dim=1) - 1,
        past_key_values=None, inputs_embeds=[embedded, None], use_cache=config.use_cache, fill_kv_cache=True,
    )  # fmt: skip
    for step in range(config.num_steps):
        time = torch.tensor([1 - step / config.num_steps])
        velocity = model.denoise_step(x_t=x, prefix_pad_masks=padding, past_key_values=cache, timestep=time)
        for row, factor in enumerate(share):
            x[0, row] -= velocity[0, row] * factor / config.num_steps
    rows = in_robot_units(x[:, :, :4], after)
    return {"prefix": prefix, "frozen": frozen, "continued": rows}


def main() -> None:
    kind, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    config = configuration(kind, folder)
    policy = get_policy_class(kind)(config)
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
    target = folder / "pretrained_model"
    policy.save_pretrained(target)
    before.save_pretrained(target)
    after.save_pretrained(target)
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
            if kind == "groot":
                # Its own draw, made zero as the worker's rows without a seed are.
                with unittest.mock.patch("torch.randn", lambda size, **options: torch.zeros(size, **options)):
                    chunk = policy.predict_action_chunk(prepared)
            else:
                chunk = policy.predict_action_chunk(prepared, **extra)
            answer = {"task": task, "state": state, "chunk": in_robot_units(chunk, after)}
            if kind == "smolvla" and number:
                answer |= continued(policy, prepared, before, after, number)
        answers.append(answer)
    (folder / "expected.json").write_text(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main()
