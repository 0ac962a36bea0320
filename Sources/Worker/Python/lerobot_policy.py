"""Runs any LeRobot `pretrained_model` directory as it is: policy and processors through LeRobot's public API.

Images are already in the size that config.json declares (the worker resizes as LeRobot's own server does). Differences from
LeRobot's server, each for a reason: rows of several robots share one inference; a chunk is post-processed whole; on CUDA
the inference runs under bfloat16 autocast and, where the policy allows it, as one captured graph per batch size.
"""

from __future__ import annotations

import inspect
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable

# Assets come from local paths; a worker that waits for a model hub is a worker that does not serve.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"


def load_policy(settings: dict[str, Any], progress: Callable[[str], None]) -> "LeRobotPolicy":
    progress("importing torch and lerobot")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise RuntimeError(f"this Python has no PyTorch ({error}); name the LeRobot environment with --python") from error
    try:
        import lerobot  # noqa: F401
    except ImportError as error:
        raise RuntimeError(f"this Python has no LeRobot ({error}); name its environment with --python") from error
    return LeRobotPolicy(settings, progress)


def chosen_device(name: str) -> str:
    import torch

    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def lerobot_version() -> str:
    from importlib.metadata import version

    return version("lerobot")


def takes_noise(policy: Any) -> bool:
    """Whether predict_action_chunk takes `noise`, by itself or handed through to the model (pi0)."""
    parameters = inspect.signature(policy.predict_action_chunk).parameters
    handed = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    sample = getattr(getattr(policy, "model", None), "sample_actions", None)
    return "noise" in parameters or (handed and sample is not None and "noise" in inspect.signature(sample).parameters)


class LeRobotPolicy:
    def __init__(self, settings: dict[str, Any], progress: Callable[[str], None]) -> None:
        import numpy
        import torch
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class

        from capture import GraphCache
        from groot import ActionHead, is_n15, without_flash_attention
        from grouping import Grouping
        from prefix import PrefixSupport, model_units
        from processors import ChunkFinisher, load_processors

        self.torch, self.numpy = torch, numpy
        directory = Path(settings["directory"])
        if settings["threads"] > 0:
            torch.set_num_threads(settings["threads"])
        torch.set_grad_enabled(False)
        if torch.cuda.is_available():
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
        self.device = torch.device(chosen_device(settings["device"]))
        progress("reading the configuration")
        config = PreTrainedConfig.from_pretrained(str(directory), local_files_only=True)
        config.device = str(self.device)
        if config.type == "groot" and without_flash_attention():
            progress("flash-attn is not installed: PyTorch's own attention instead")
        progress(f"loading the weights of a {config.type} policy onto {self.device}")
        self.policy = get_policy_class(config.type).from_pretrained(str(directory), config=config, local_files_only=True)
        self.policy.to(self.device)
        self.policy.eval()
        self.config = config
        progress("loading the processors")
        preprocess, postprocess = load_processors(config, directory, self.device)
        self.finisher = ChunkFinisher(postprocess)
        self.images = [(key, feature.shape[2], feature.shape[1]) for key, feature in sorted(config.image_features.items())]
        self.state_dim = config.input_features[STATE].shape[0] if STATE in config.input_features else 0
        self.action_dim = config.output_features["action"].shape[0]
        extra = set(config.input_features) - {key for key, _, _ in self.images} - {STATE}
        if extra:
            raise ValueError(f"the policy reads {sorted(extra)}, which no robot sends; images and {STATE} are supported")
        if self.state_dim == 0:
            raise ValueError(f"the policy reads no {STATE}; a policy without a state is not supported")
        self.takes_noise = takes_noise(self.policy)
        self.head = ActionHead.of(self.policy)
        self.prefix = PrefixSupport(self.policy, self.head, self.takes_noise, model_units(preprocess, postprocess))
        self.grouping = Grouping(preprocess, by_sentence=config.type == "groot" and is_n15())
        # Continuing a prefix puts other functions into the policy: compiled code would be compiled anew for each request.
        self.predict_plainly = self.policy.predict_action_chunk
        self.predict_compiled = self.predict_plainly
        if settings.get("compile"):
            progress("torch.compile (minutes)")
            self.predict_compiled = torch.compile(self.predict_plainly)
        self.graphs = GraphCache(self.device, self.predict)
        progress("first inference, to learn the chunk's size")
        chunk = self.probe()
        self.chunk_size = chunk.shape[1]
        self.description = {
            "policy_type": config.type,
            "images": [list(image) for image in self.images],
            "state_dim": self.state_dim,
            "action_dim": self.action_dim,
            "chunk_size": self.chunk_size,
            "supports_prefix": self.prefix.supported,
            # A tokenizer cuts what is longer than its model reads; nobody writes a task of this length.
            "max_task_bytes": 1024,
            "version": f"LeRobot {lerobot_version()}, PyTorch {torch.__version__} on {self.device_name()}",
            "memory_bytes": self.memory(),
        }

    def check_device(self) -> None:
        """Raises when an earlier error has ended this process's CUDA context."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def device_name(self) -> str:
        if self.device.type == "cuda":
            return self.torch.cuda.get_device_name(self.device)
        return str(self.device)

    def memory(self) -> int:
        if self.device.type == "cuda":
            return int(self.torch.cuda.memory_reserved(self.device))
        return sum(value.numel() * value.element_size() for value in self.policy.state_dict().values())

    def probe(self) -> Any:
        torch = self.torch
        observation = {key: torch.zeros(1, 3, height, width) for key, width, height in self.images}
        observation[STATE] = torch.zeros(1, self.state_dim)
        return self.finisher.finish(self.predict(self.grouping.prepare(observation, ["warm up"])))

    # What one batch goes through.

    def warm_up(self, batch: int, arena: Any) -> str | None:
        rows = [{"task_bytes": 0, "prefix_rows": 0, "frozen_rows": 0, "seed": 0}] * batch
        observation, tasks = self.read(rows, arena)
        note = self.graphs.capture(batch, self.with_noise(self.grouping.prepare(observation, tasks), rows))
        if self.description and self.device.type == "cuda":
            self.description["memory_bytes"] = self.memory()
        return note

    def run(self, rows: list[dict[str, Any]], arena: Any) -> dict[str, int]:
        started = time.perf_counter_ns()
        observation, tasks = self.read(rows, arena)
        continues = any(row["prefix_rows"] for row in rows)
        groups = self.grouping.prepare(observation, tasks)
        prepared = time.perf_counter_ns()
        if continues:
            with self.prefix.continuing(self.prefixes(rows, arena), rows):
                chunk = self.predict(self.with_noise(groups, rows))
        else:
            chunk = self.graphs.run(len(rows), self.with_noise(groups, rows))
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)
        inferred = time.perf_counter_ns()
        self.write(self.finisher.finish(chunk), rows, arena)
        return {
            "preprocess": prepared - started,
            "infer": inferred - prepared,
            "postprocess": time.perf_counter_ns() - inferred,
        }

    def read(self, rows: list[dict[str, Any]], arena: Any) -> tuple[dict[str, Any], list[str]]:
        torch, batch = self.torch, len(rows)
        observation: dict[str, Any] = {}
        for key, width, height in self.images:
            pixels = torch.frombuffer(arena.view(key, batch), dtype=torch.uint8).view(batch, height, width, 3)
            pixels = pixels.to(self.device).permute(0, 3, 1, 2)
            observation[key] = (pixels.type(torch.float32) / 255).contiguous()
        state = torch.frombuffer(arena.view("state", batch), dtype=torch.float32).view(batch, self.state_dim)
        observation[STATE] = state.clone()
        # Warm-up rows have no task; an empty sentence is what some tokenizers refuse.
        return observation, [arena.task(i, row["task_bytes"]) or "warm up" for i, row in enumerate(rows)]

    def with_noise(self, groups: list[Any], rows: list[dict[str, Any]]) -> list[Any]:
        """Adds the noise that the requests' seeds stand for, where the policy takes any."""
        return [(indices, part, self.noise([rows[i]["seed"] for i in indices])) for indices, part in groups]

    def noise(self, seeds: list[int]) -> Any:
        if self.head:
            rows, width = self.head.rows, self.head.width
        elif self.takes_noise:
            rows = getattr(self.config, "horizon", None) or self.config.chunk_size
            width = getattr(self.config, "max_action_dim", None) or self.action_dim
        else:
            return None
        noise = self.torch.zeros(len(seeds), rows, width)
        for i, seed in enumerate(seeds):
            if seed:
                generator = self.torch.Generator().manual_seed(seed % 2**63)
                noise[i] = self.torch.randn(rows, width, generator=generator)
        return noise.to(self.device)

    def predict(self, groups: list[Any]) -> Any:
        """(B, T, D) in the model's own units, rows in the order of the batch."""
        torch = self.torch
        chunks, order = [], []
        for group in groups:
            rows, part, noise = group if len(group) == 3 else (*group, None)
            # The processors leave an empty place for the action, which some policies take for one.
            part = {key: value for key, value in part.items() if value is not None}
            self.fill_history(part)
            predict = self.predict_plainly if self.prefix.current else self.predict_compiled
            with torch.inference_mode(), torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
            ), self.prefix.steered(rows, noise) as start:
                if start is None or self.head is None:
                    chunk = predict(part) if start is None else predict(part, noise=start)
                else:
                    with self.head.taking(start):
                        chunk = predict(part)
            chunks.append(chunk if chunk.ndim == 3 else chunk.unsqueeze(0))
            order += rows
        if len(chunks) == 1:
            return chunks[0]
        back = sorted(range(len(order)), key=order.__getitem__)
        return torch.cat(chunks)[back]

    def fill_history(self, part: dict[str, Any]) -> None:
        """Policies that read several past observations get this one in every place, as LeRobot starts an episode.

        A worker keeps nothing between two requests, so that any worker may answer the next one.
        """
        queues = getattr(self.policy, "_queues", None)
        if not queues:
            return
        if getattr(self.config, "image_features", None) and "observation.images" in queues:
            keys = list(self.config.image_features)
            part["observation.images"] = self.torch.stack([part[key] for key in keys], dim=-4)
        for key, queue in queues.items():
            if key != "action" and key in part:
                queues[key] = deque([part[key]] * queue.maxlen, maxlen=queue.maxlen)

    def prefixes(self, rows: list[dict[str, Any]], arena: Any) -> Any:
        data = self.torch.frombuffer(arena.view("prefix", len(rows)), dtype=self.torch.float32)
        return data.view(len(rows), self.chunk_size, self.action_dim).to(self.device, copy=True)

    def write(self, chunk: Any, rows: list[dict[str, Any]], arena: Any) -> None:
        values = chunk.detach().to("cpu", self.torch.float32).contiguous().numpy()
        expected = (len(rows), self.chunk_size, self.action_dim)
        if values.shape != expected:
            raise ValueError(f"the policy answered with shape {values.shape}, expected {expected}")
        target = self.numpy.frombuffer(arena.view("chunk", len(rows)), dtype=self.numpy.float32)
        target[:] = values.reshape(-1)
