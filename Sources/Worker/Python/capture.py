"""One captured CUDA graph per batch size and input shape: a policy of many small kernels is limited by launching them.

A policy that cannot be captured (it looks at its numbers on the way, or copies from the host in between) runs eagerly, and
the reason is told. Used by one thread, and by any adapter: `predict` takes a list of (rows, inputs, noise) and returns one
tensor (B, T, D); the dictionary's tensors and the noise are what a recording reads anew each time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable

WARM_RUNS = 3
"""Before recording: lazily made workspaces, autotuning and compilation must be over."""
KEPT_PER_BATCH = 4
"""Recordings of one batch size: sentences of other lengths make other shapes. The oldest one makes room."""

Predict = Callable[[list[Any]], Any]


def tensors_of(torch: Any, group: Any) -> dict[str, Any]:
    """What a recording reads: the tensors among the inputs, and the noise under a name of its own."""
    _, part, noise = group
    found = {key: value for key, value in part.items() if torch.is_tensor(value)}
    return found if noise is None else {**found, "": noise}


def signature_of(torch: Any, groups: list[Any]) -> tuple[Any, ...] | None:
    """Equal for inputs that one recording can serve; None when several inferences are needed."""
    if len(groups) != 1:
        return None
    tensors = tensors_of(torch, groups[0])
    return tuple(groups[0][0]), tuple(sorted((key, tuple(value.shape), value.dtype) for key, value in tensors.items()))


class Graph:
    """A recorded inference with the tensors that it reads and writes."""

    def __init__(self, torch: Any, predict: Predict, groups: list[Any], pool: Any) -> None:
        self.torch = torch
        rows, part, noise = groups[0]
        # Ordinary tensors of the ordinary pool: they are written from outside, also beyond inference mode.
        self.inputs = {key: value.detach().clone() for key, value in tensors_of(torch, groups[0]).items()}
        named = {key: value for key, value in self.inputs.items() if key}
        # A fresh dictionary for each call: policies add to what they are given.
        self.static = lambda: [(list(rows), {**part, **named}, None if noise is None else self.inputs[""])]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_RUNS):
                predict(self.static())
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        # Autocast begins and ends within predict, so that copies of weights in bfloat16 are part of the recording and die
        # with it. The output stays alive: another recording in the same pool never writes over it.
        with torch.cuda.graph(self.graph, pool=pool):
            self.output = predict(self.static())
        self.check(predict)

    def check(self, predict: Predict) -> None:
        """A recording that forgot what depends on the input would repeat the first robot's motion for all."""
        torch = self.torch
        eager, again = predict(self.static()).float(), predict(self.static()).float()
        if not torch.equal(eager, again):
            return  # It draws its own noise: no two answers can be compared.
        for value in self.inputs.values():
            if value.dtype.is_floating_point:
                value.uniform_(0, 1)
        expected = predict(self.static()).float()
        self.graph.replay()
        torch.cuda.synchronize()
        worst = (self.output.float() - expected).abs().max().item()
        scale = expected.abs().max().item() + 1e-6
        if not worst <= 0.05 * scale:
            raise RuntimeError(f"the recording differs from the eager answer by {worst:.3g} (largest value {scale:.3g})")

    def run(self, groups: list[Any]) -> Any:
        """The answer lies in the recording's own memory: read it before the next run."""
        for key, value in tensors_of(self.torch, groups[0]).items():
            self.inputs[key].copy_(value, non_blocking=True)
        self.graph.replay()
        return self.output


class GraphCache:
    def __init__(self, device: Any, predict: Predict, record: Callable[..., Any] = Graph) -> None:
        """`record` makes a recording; another one than `Graph` is for tests without a GPU."""
        import torch

        self.torch, self.device, self.predict, self.record = torch, device, predict, record
        self.enabled = device.type == "cuda" or record is not Graph
        self.graphs: dict[int, OrderedDict[Any, Any]] = {}
        self.seen: dict[int, Any] = {}
        self.refused: set[int] = set()
        # One pool for all recordings, which never run at the same time: the largest batch, recorded first, makes room for all.
        self.pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def capture(self, batch: int, groups: list[Any]) -> str | None:
        """Records the batch size; the reason when that is not possible. On the CPU there is nothing to record."""
        if not self.enabled:
            self.predict(groups)
            return None
        signature = signature_of(self.torch, groups)
        if signature is None:
            return "the policy prepares rows of different sentences apart: not recorded"
        try:
            graph = self.record(self.torch, self.predict, groups, self.pool)
        except Exception as error:  # noqa: BLE001: any policy may fail in its own way, and eager still works
            self.refused.add(batch)
            self.recover()
            self.predict(groups)
            return f"runs eagerly, without a CUDA graph: {type(error).__name__}: {error}"
        kept = self.graphs.setdefault(batch, OrderedDict())
        kept[signature] = graph
        if len(kept) > KEPT_PER_BATCH:
            kept.popitem(last=False)
        return None

    def recover(self) -> None:
        """A recording that broke off may leave its pool in use: the next one takes another."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()
            self.pool = self.torch.cuda.graph_pool_handle()

    def run(self, batch: int, groups: list[Any]) -> Any:
        """By a recording where there is one. A shape that comes twice in a row is recorded, for it will come again."""
        signature = signature_of(self.torch, groups) if self.enabled else None
        if signature is None:
            return self.predict(groups)
        kept = self.graphs.get(batch, OrderedDict())
        if signature in kept:
            kept.move_to_end(signature)
            return kept[signature].run(groups)
        if self.seen.get(batch) == signature and batch not in self.refused:
            note = self.capture(batch, groups)
            print(f"a batch of {batch} in a new shape: {note or 'recorded'}", flush=True)
            if note is None:
                return self.graphs[batch][signature].run(groups)
        self.seen[batch] = signature
        return self.predict(groups)
