"""Language models, tokenizers and processors that fit a test: made here, saved the way a model hub's folder is."""

from __future__ import annotations

import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, SmolVLMConfig, SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def byte_tokenizer() -> Tokenizer:
    """One token per byte."""
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(ALPHABET)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def save_smolvlm(folder: pathlib.Path) -> None:
    """What `vlm_model_name` of a SmolVLA configuration names: configuration, tokenizer and processors, no weights."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(), bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<|im_end|>",
        extra_special_tokens={
            "image_token": "<image>", "fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>",
            "end_of_utterance_token": "<end_of_utterance>",
        },
    )  # fmt: skip
    SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(), tokenizer=tokenizer, video_processor=SmolVLMVideoProcessor(),
        image_seq_len=4, chat_template="{{ messages }}",
    ).save_pretrained(folder)  # fmt: skip
    SmolVLMConfig(
        text_config={
            "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 16, "num_hidden_layers": 2, "vocab_size": len(tokenizer),
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64,
            "patch_size": 16,
        },
        scale_factor=2, image_token_id=tokenizer.convert_tokens_to_ids("<image>"), pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)  # fmt: skip


def save_eagle(folder: pathlib.Path) -> None:
    """The ten files that GR00T N1.5 looks for in $HF_LEROBOT_HOME/lerobot/eagle2hg-processor-groot-n1p5."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
    added = {token: len(ALPHABET) + number for number, token in enumerate(special)}
    template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{% set ns = namespace(images=0) %}"
        "{% for part in message.content %}{% if part.type == 'image' %}{% set ns.images = ns.images + 1 %}"
        "<image-{{ ns.images }}>{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    code = "_eagle2_5_vl"
    files = {
        "vocab.json": {letter: number for number, letter in enumerate(ALPHABET)},
        "merges.txt": "#version: 0.2\n",
        "added_tokens.json": added,
        "chat_template.json": {"chat_template": template},
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        "generation_config.json": {},
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
            "added_tokens_decoder": {
                str(number): {"content": token, "special": True, "normalized": False, "lstrip": False, "rstrip": False,
                              "single_word": False}
                for token, number in added.items()
            },
        },
        "preprocessor_config.json": {
            "auto_map": {"AutoImageProcessor": f"image_processing{code}_fast.Eagle25VLImageProcessorFast",
                         "AutoProcessor": f"processing{code}.Eagle25VLProcessor"},
            "image_processor_type": "Eagle25VLImageProcessorFast", "processor_class": "Eagle25VLProcessor",
            "size": {"height": 56, "width": 56}, "max_dynamic_tiles": 1, "min_dynamic_tiles": 1, "use_thumbnail": False,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        },
        "processor_config.json": {
            "auto_map": {"AutoProcessor": f"processing{code}.Eagle25VLProcessor"}, "processor_class": "Eagle25VLProcessor",
            "tokens_per_tile": 16,
        },
        "config.json": {
            "model_type": "eagle_2_5_vl", "architectures": ["Eagle25VLForConditionalGeneration"],
            "auto_map": {"AutoConfig": f"configuration{code}.Eagle25VLConfig",
                         "AutoModel": f"modeling{code}.Eagle25VLForConditionalGeneration"},
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64,
                              "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
            "text_config": {"architectures": ["Qwen3ForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
                            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
                            "vocab_size": len(ALPHABET) + len(added)},
            "image_token_index": added["<IMG_CONTEXT>"], "select_layer": -1, "use_pixel_shuffle": False,
            "mlp_connector_layers": 1, "downsample_ratio": 1.0, "force_image_size": 56,
        },
    }  # fmt: skip
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def save_groot_base(folder: pathlib.Path) -> None:
    """What `base_model_path` of a GR00T N1.5 configuration names, in sizes for a test."""
    import torch
    from lerobot.policies.groot.groot_n1 import GR00TN15, GR00TN15Config

    attention = {"attention_head_dim": 16, "num_attention_heads": 4, "dropout": 0.0, "final_dropout": False}
    config = GR00TN15Config(
        backbone_cfg={"select_layer": 2, "project_to_dim": None},
        action_head_cfg={
            "action_dim": 32, "action_horizon": 16, "hidden_size": 64, "input_embedding_dim": 64, "backbone_embedding_dim": 64,
            "max_state_dim": 64, "num_inference_timesteps": 4, "num_timestep_buckets": 1000, "max_num_embodiments": 32,
            "diffusion_model_cfg": {**attention, "num_layers": 2, "output_dim": 64, "norm_type": "ada_norm",
                                    "interleave_self_attention": True, "cross_attention_dim": 64, "positional_embeddings": None},
            "vl_self_attention_cfg": {**attention, "num_layers": 1, "positional_embeddings": None},
        },
        action_horizon=16, action_dim=32, compute_dtype="float32",
    )  # fmt: skip
    torch.manual_seed(7)
    louder(GR00TN15(config, local_model_path=str(folder))).save_pretrained(folder)


def save_qwen(folder: pathlib.Path) -> None:
    """What `model_name` of GR00T N1.7 names: configuration, tokenizer and processors of a Qwen3-VL, no weights."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLConfig, Qwen3VLVideoProcessor

    special = {
        "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    }  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", *special.values()],
    )  # fmt: skip
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
        "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}<|im_end|>\n{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    sizes = {"shortest_edge": 32 * 32, "longest_edge": 256 * 256}
    Qwen2VLImageProcessor(patch_size=16, merge_size=2, size=sizes).save_pretrained(folder)
    Qwen3VLVideoProcessor(patch_size=16, merge_size=2, size=sizes).save_pretrained(folder)
    identifiers = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    Qwen3VLConfig(
        **identifiers, tie_word_embeddings=True,
        text_config={
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 16, "vocab_size": len(tokenizer), "tie_word_embeddings": True,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_interleaved": True,
                                "mrope_section": [4, 2, 2]},
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64, "patch_size": 16,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0],
        },
    ).save_pretrained(folder)  # fmt: skip


def save_groot17_base(folder: pathlib.Path, language_model: pathlib.Path) -> None:
    """What `base_model_path` of a GR00T N1.7 configuration names, in sizes for a test."""
    import torch
    from lerobot.policies.groot.groot_n1_7 import GR00TN17, GR00TN17Config

    attention = {"attention_head_dim": 16, "num_attention_heads": 4, "dropout": 0.0, "positional_embeddings": None}
    config = GR00TN17Config(
        model_name=str(language_model), backbone_embedding_dim=64, select_layer=2, hidden_size=64, input_embedding_dim=64,
        diffusion_model_cfg={**attention, "num_layers": 4, "norm_type": "ada_norm", "final_dropout": False, "output_dim": 64,
                             "interleave_self_attention": True},
        vl_self_attention_cfg={**attention, "num_layers": 1, "final_dropout": False},
    )  # fmt: skip
    torch.manual_seed(7)
    louder(GR00TN17(config, load_backbone_weights=False).float()).save_pretrained(folder)


def louder(model):
    """As it is made, a head of GR00T answers nearly its noise whatever it sees; a test could not tell inputs apart."""
    model.action_head.action_decoder.layer2.W.data *= 50
    return model
