"""Runs any LeRobot `pretrained_model` directory as it is: policy and processors through LeRobot's public API.

Images are already in the size that config.json declares (the worker resizes as LeRobot's own server does). Differences from
LeRobot's server, each for a reason: rows of several robots share one inference; a chunk is post-processed whole; on CUDA
the inference runs under bfloat16 autocast and, where the policy allows it, as one captured graph per batch size.
"""

from __future__ import annotations

import inspect
import json
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


class LeRobotPolicy:
    def __init__(self, settings: dict[str, Any], progress: Callable[[str], None]) -> None:
        import numpy
        import torch
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class

        from capture import GraphCache
        from prefix import PrefixSupport

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
        progress(f"loading the weights of a {config.type} policy onto {self.device}")
        self.policy = get_policy_class(config.type).from_pretrained(str(directory), config=config, local_files_only=True)
        self.policy.to(self.device)
        self.policy.eval()
        self.config = config
        progress("loading the processors")
        self.preprocess, self.postprocess = self.processors(directory)
        self.images = [(key, feature.shape[2], feature.shape[1]) for key, feature in sorted(config.image_features.items())]
        self.state_dim = config.input_features[STATE].shape[0] if STATE in config.input_features else 0
        self.action_dim = config.output_features["action"].shape[0]
        extra = set(config.input_features) - {key for key, _, _ in self.images} - {STATE}
        if extra:
            raise ValueError(f"the policy reads {sorted(extra)}, which no robot sends; images and {STATE} are supported")
        if self.state_dim == 0:
            raise ValueError(f"the policy reads no {STATE}; a policy without a state is not supported")
        parameters = inspect.signature(self.policy.predict_action_chunk).parameters
        self.takes_noise = "noise" in parameters
        self.prefix = PrefixSupport(self.policy, self.preprocess, self.device)
        if settings.get("compile"):
            progress("torch.compile (minutes)")
            self.policy.predict_action_chunk = torch.compile(self.policy.predict_action_chunk)
        self.graphs = GraphCache(self.device, self.predict)
        self.whole_chunk: bool | None = None
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

    def processors(self, directory: Path) -> tuple[Any, Any]:
        from lerobot.policies.factory import make_pre_post_processors

        def steps(file: str) -> set[str]:
            path = directory / file
            if not path.exists():
                raise FileNotFoundError(
                    f"{path} is missing: the directory was saved by a LeRobot older than 0.4; convert it with LeRobot's own"
                    " migrate_policy_normalization"
                )
            return {step.get("registry_name", "") for step in json.loads(path.read_text())["steps"]}

        # Only steps that are there may be overridden. What LeRobot's own server overrides, and nothing else.
        before: dict[str, Any] = {}
        if "device_processor" in steps("policy_preprocessor.json"):
            before["device_processor"] = {"device": str(self.device)}
        steps("policy_postprocessor.json")
        return make_pre_post_processors(self.config, pretrained_path=str(directory), preprocessor_overrides=before)

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
        return self.finish(self.predict(self.prepare(observation, ["warm up"])))

    # What one batch goes through.

    def warm_up(self, batch: int, arena: Any) -> str | None:
        rows = [{"task_bytes": 0, "prefix_rows": 0, "frozen_rows": 0, "seed": 0}] * batch
        observation, tasks = self.read(rows, arena)
        note = self.graphs.capture(batch, self.with_noise(self.prepare(observation, tasks), rows))
        if self.description and self.device.type == "cuda":
            self.description["memory_bytes"] = self.memory()
        return note

    def run(self, rows: list[dict[str, Any]], arena: Any) -> dict[str, int]:
        started = time.perf_counter_ns()
        observation, tasks = self.read(rows, arena)
        continues = any(row["prefix_rows"] for row in rows)
        groups = self.prepare_apart(observation, tasks, rows) if continues else self.prepare(observation, tasks)
        prepared = time.perf_counter_ns()
        if continues:
            with self.prefix.continuing(self.prefixes(rows, arena), rows):
                chunk = self.predict(self.with_noise(groups, rows))
        else:
            chunk = self.graphs.run(len(rows), self.with_noise(groups, rows))
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)
        inferred = time.perf_counter_ns()
        self.write(self.finish(chunk), rows, arena)
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

    def prepare(self, observation: dict[str, Any], tasks: list[str]) -> list[tuple[list[int], dict[str, Any]]]:
        """Rows that may share an inference, each with the policy's own input.

        GR00T's pack step gives every row of a batch the first row's sentence, so rows of another sentence are prepared
        apart and joined again where their shapes agree.
        """
        if self.config.type != "groot" or len(set(tasks)) == 1:
            return [(list(range(len(tasks))), self.preprocess({**observation, "task": list(tasks)}))]
        groups = []
        for task in dict.fromkeys(tasks):
            rows = [i for i, other in enumerate(tasks) if other == task]
            part = {key: value[rows] for key, value in observation.items()}
            groups.append((rows, self.preprocess({**part, "task": [task] * len(rows)})))
        return self.joined(groups)

    def prepare_apart(
        self, observation: dict[str, Any], tasks: list[str], rows: list[dict[str, Any]]
    ) -> list[tuple[list[int], dict[str, Any]]]:
        """As `prepare`; a policy with a native prefix mode takes one overlap and one delay per call."""
        if not self.prefix.native:
            return self.prepare(observation, tasks)
        kinds = [(row["prefix_rows"], row["frozen_rows"]) for row in rows]
        groups = []
        for kind in dict.fromkeys(kinds):
            members = [i for i, other in enumerate(kinds) if other == kind]
            part = {key: value[members] for key, value in observation.items()}
            for indices, prepared in self.prepare(part, [tasks[i] for i in members]):
                groups.append(([members[i] for i in indices], prepared))
        return groups

    def joined(self, groups: list[tuple[list[int], dict[str, Any]]]) -> list[tuple[list[int], dict[str, Any]]]:
        torch = self.torch
        tensors = [{k: v for k, v in part.items() if torch.is_tensor(v)} for _, part in groups]
        first = tensors[0]
        alike = all(
            part.keys() == first.keys() and all(part[key].shape[1:] == first[key].shape[1:] for key in first)
            for part in tensors
        )
        if not alike:
            return groups
        rows = [row for part, _ in groups for row in part]
        return [(rows, {**groups[0][1], **{key: torch.cat([part[key] for part in tensors]) for key in first}})]

    def with_noise(self, groups: list[tuple[list[int], dict[str, Any]]], rows: list[dict[str, Any]]) -> list[Any]:
        """Adds the noise that the requests' seeds stand for, where the policy takes any."""
        return [(indices, part, self.noise([rows[i]["seed"] for i in indices])) for indices, part in groups]

    def noise(self, seeds: list[int]) -> Any:
        if not self.takes_noise:
            return None
        rows = getattr(self.config, "horizon", None) or self.config.chunk_size
        width = getattr(self.config, "max_action_dim", None) or self.action_dim
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
            extra = {"noise": noise} if noise is not None else {}
            with torch.inference_mode(), torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
            ):
                chunk = self.policy.predict_action_chunk(part, **extra, **self.prefix.arguments(rows))
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

    def finish(self, chunk: Any) -> Any:
        """Robot units. Whole chunks where the processor takes them, else all steps of all rows as one batch of steps."""
        chunk = chunk.float()
        batch, rows, _ = chunk.shape
        if self.whole_chunk is not False:
            try:
                whole = self.postprocess(chunk)
                self.whole_chunk = tuple(whole.shape[:2]) == (batch, rows)
                if self.whole_chunk:
                    return whole
            except (NotImplementedError, ValueError, RuntimeError, IndexError):
                if self.whole_chunk:
                    raise
                self.whole_chunk = False
        return self.postprocess(chunk.reshape(batch * rows, -1)).reshape(batch, rows, -1)

    def prefixes(self, rows: list[dict[str, Any]], arena: Any) -> Any:
        data = self.torch.frombuffer(arena.view("prefix", len(rows)), dtype=self.torch.float32)
        return data.view(len(rows), self.chunk_size, self.action_dim).clone()

    def write(self, chunk: Any, rows: list[dict[str, Any]], arena: Any) -> None:
        values = chunk.detach().to("cpu", self.torch.float32).contiguous().numpy()
        expected = (len(rows), self.chunk_size, self.action_dim)
        if values.shape != expected:
            raise ValueError(f"the policy answered with shape {values.shape}, expected {expected}")
        target = self.numpy.frombuffer(arena.view("chunk", len(rows)), dtype=self.numpy.float32)
        target[:] = values.reshape(-1)
