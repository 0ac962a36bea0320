"""One captured CUDA graph per batch size: a policy of many small kernels is limited by launching them, not by arithmetic.

A policy that cannot be captured (it looks at its numbers on the way, or allocates in between) runs eagerly, and the reason
is told once per batch size.
"""

from __future__ import annotations

from typing import Any, Callable


class Graph:
    """A recorded inference with the tensors that it reads and writes."""

    def __init__(self, torch: Any, predict: Callable[[list[Any]], Any], groups: list[Any]) -> None:
        self.torch = torch
        rows, part, noise = groups[0]
        self.inputs = {key: value.clone() for key, value in part.items() if torch.is_tensor(value)}
        self.noise = None if noise is None else noise.clone()
        self.rows = list(rows)
        static = [(self.rows, {**part, **self.inputs}, self.noise)]
        # Side stream and three runs first: lazily made workspaces must exist before recording.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                predict(static)
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = predict(static)
        self.check(predict, static)

    def check(self, predict: Callable[[list[Any]], Any], static: list[Any]) -> None:
        """A recording that forgot what depends on the input would repeat the first robot's motion for all."""
        eager, again = predict(static).float(), predict(static).float()
        if not self.torch.equal(eager, again):
            return  # It draws its own noise: no two answers can be compared.
        for key, value in self.inputs.items():
            if key.startswith("observation.") and value.dtype.is_floating_point:
                value.uniform_(0, 1)
        expected = predict(static).float()
        self.graph.replay()
        self.torch.cuda.synchronize()
        worst = (self.output.float() - expected).abs().max().item()
        scale = expected.abs().max().item() + 1e-6
        if not worst <= 0.05 * scale:
            raise RuntimeError(f"the recording differs from the eager answer by {worst:.3g} (largest value {scale:.3g})")

    def fits(self, groups: list[Any]) -> bool:
        if len(groups) != 1:
            return False
        rows, part, noise = groups[0]
        found = {key: value for key, value in part.items() if self.torch.is_tensor(value)}
        return (
            list(rows) == self.rows
            and found.keys() == self.inputs.keys()
            and all(found[key].shape == value.shape for key, value in self.inputs.items())
            and (noise is None) == (self.noise is None)
        )

    def run(self, groups: list[Any]) -> Any:
        _, part, noise = groups[0]
        for key, value in self.inputs.items():
            value.copy_(part[key], non_blocking=True)
        if noise is not None:
            self.noise.copy_(noise, non_blocking=True)
        self.graph.replay()
        return self.output


class GraphCache:
    def __init__(self, device: Any, predict: Callable[[list[Any]], Any]) -> None:
        import torch

        self.torch, self.device, self.predict = torch, device, predict
        self.graphs: dict[int, Graph] = {}

    def capture(self, batch: int, groups: list[Any]) -> str | None:
        """Records the batch size; the reason when that is not possible. On the CPU there is nothing to record."""
        if self.device.type != "cuda":
            self.predict(groups)
            return None
        if len(groups) != 1:
            return "the policy prepares rows of different sentences apart: not recorded"
        try:
            self.graphs[batch] = Graph(self.torch, self.predict, groups)
            return None
        except Exception as error:  # noqa: BLE001: any policy may fail in its own way, and eager still works
            self.graphs.pop(batch, None)
            self.torch.cuda.synchronize()
            self.predict(groups)
            return f"runs eagerly, without a CUDA graph: {type(error).__name__}: {error}"

    def run(self, batch: int, groups: list[Any]) -> Any:
        graph = self.graphs.get(batch)
        return graph.run(groups) if graph and graph.fits(groups) else self.predict(groups)
