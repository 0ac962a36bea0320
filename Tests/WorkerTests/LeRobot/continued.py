"""What continues a previous chunk, for make_checkpoint.py: row by row, the prefix in the noise, velocity 0, rising and 1.

SmolVLA and GR00T N1.5 as plain loops over LeRobot's own parts; GR00T N1.7 has a mode for it.
"""

import inspect
import math

import torch


def continued(kind: str, policy, prepared: dict, number: int) -> tuple[list[list[float]], int, torch.Tensor]:
    """The prefix in robot units, its frozen rows, the chunk in the model's units. Overlaps and delays differ by `number`."""
    overlap, frozen, rate = 4 + number, number - 1, 6.0
    prefix = [[0.1 * row + 0.2 * joint for joint in range(3)] + [30.0 + row] for row in range(overlap)]
    mean, std = torch.tensor([0.0, 0.5, -0.5, 40.0]), torch.tensor([1.5, 0.7, 1.1, 20.0])
    low, high = torch.tensor([-1.0, -2.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 1.0, 100.0])
    share = []
    for row in range(policy.config.chunk_size):
        if row < frozen:
            share.append(0.0)
        elif row < overlap:
            place = (row - frozen + 1) / (overlap - frozen + 1)
            share.append((1 - math.exp(-rate * place)) / (1 - math.exp(-rate)))
        else:
            share.append(1.0)
    between = (torch.tensor(prefix) - low) / (high - low) * 2 - 1
    if kind == "smolvla":
        chunk = smolvla_continued(policy, prepared, (torch.tensor(prefix) - mean) / (std + 1e-8), share)
    elif kind == "groot":
        chunk = groot_continued(policy, prepared, between, share)
    else:
        # N1.7's own: it says the same in other words.
        chunk = policy.predict_action_chunk(dict(prepared), prev_chunk_left_over=between, inference_delay=frozen)
    return prefix, frozen, chunk[:, :, :4]


def smolvla_continued(policy, prepared: dict, prefix: torch.Tensor, share: list[float]) -> torch.Tensor:
    from lerobot.policies.smolvla.modeling_smolvla import make_att_2d_masks

    model, config = policy.model, policy.config
    x = torch.zeros(1, config.chunk_size, config.max_action_dim)
    x[0, : len(prefix), :4] = prefix
    images, masks = policy.prepare_images(prepared)
    embedded, padding, attention = model.embed_prefix(
        images, masks, prepared["observation.language.tokens"], prepared["observation.language.attention_mask"],
        state=policy.prepare_state(prepared),
    )  # fmt: skip
    # LeRobot 0.4 is told to keep the cache, 0.6 does it by itself.
    known = inspect.signature(model.vlm_with_expert.forward).parameters
    older = {"fill_kv_cache": True} if "fill_kv_cache" in known else {}
    _, cache = model.vlm_with_expert.forward(
        attention_mask=make_att_2d_masks(padding, attention), position_ids=torch.cumsum(padding, dim=1) - 1,
        past_key_values=None, inputs_embeds=[embedded, None], use_cache=config.use_cache, **older,
    )  # fmt: skip
    for step in range(config.num_steps):
        time = torch.tensor([1 - step / config.num_steps])
        velocity = model.denoise_step(x_t=x, prefix_pad_masks=padding, past_key_values=cache, timestep=time)
        for row in range(config.chunk_size):
            x[0, row] -= velocity[0, row] * share[row] / config.num_steps
    return x


def groot_continued(policy, prepared: dict, prefix: torch.Tensor, share: list[float]) -> torch.Tensor:
    """GR00T N1.5, from its parts."""
    model, head = policy._groot_model, policy._groot_model.action_head
    names = {"state", "state_mask", "embodiment_id"}
    inputs = {key: value for key, value in prepared.items() if key in names or key.startswith("eagle_")}
    seen, own = model.prepare_input(inputs)
    seen = head.process_backbone_output(model.backbone(seen)).backbone_features
    state = head.state_encoder(own.state, own.embodiment_id)
    rows, steps = head.action_horizon, head.num_inference_timesteps
    x = torch.zeros(1, rows, head.action_dim)
    x[0, : len(prefix), :4] = prefix
    for step in range(steps):
        time = torch.tensor([1000 * step // steps])
        actions = head.action_encoder(x, time, own.embodiment_id) + head.position_embedding.weight[:rows]
        tokens = torch.cat([state, head.future_tokens.weight[None], actions], dim=1)
        answer = head.model(hidden_states=tokens, encoder_hidden_states=seen, timestep=time)
        velocity = head.action_decoder(answer, own.embodiment_id)[:, -rows:]
        for row in range(rows):
            x[0, row] += velocity[0, row] * share[row] / steps
    return x
