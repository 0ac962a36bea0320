"""Which rows of a batch may share an inference: the policy's own input for each group of them."""

from __future__ import annotations

from typing import Any

Group = tuple[list[int], dict[str, Any]]


class Grouping:
    def __init__(self, preprocess: Any, by_sentence: bool, native_prefix: bool) -> None:
        """`by_sentence`: the processors know one sentence per call; `native_prefix`: the policy knows one overlap and delay."""
        import torch

        self.torch, self.preprocess = torch, preprocess
        self.by_sentence, self.native_prefix = by_sentence, native_prefix

    def prepare(self, observation: dict[str, Any], tasks: list[str]) -> list[Group]:
        """Rows that may share an inference, each with the policy's own input.

        GR00T's pack step gives every row of a batch the first row's sentence, so rows of another sentence are prepared
        apart and joined again where their shapes agree.
        """
        if not self.by_sentence or len(set(tasks)) == 1:
            return [(list(range(len(tasks))), self.preprocess({**observation, "task": list(tasks)}))]
        groups = []
        for task in dict.fromkeys(tasks):
            rows = [i for i, other in enumerate(tasks) if other == task]
            part = {key: value[rows] for key, value in observation.items()}
            groups.append((rows, self.preprocess({**part, "task": [task] * len(rows)})))
        return self.joined(groups)

    def prepare_apart(
        self, observation: dict[str, Any], tasks: list[str], rows: list[dict[str, Any]]
    ) -> list[Group]:
        """As `prepare`; a policy with a native prefix mode takes one overlap and one delay per call."""
        if not self.native_prefix:
            return self.prepare(observation, tasks)
        kinds = [(row["prefix_rows"], row["frozen_rows"]) for row in rows]
        groups = []
        for kind in dict.fromkeys(kinds):
            members = [i for i, other in enumerate(kinds) if other == kind]
            part = {key: value[members] for key, value in observation.items()}
            for indices, prepared in self.prepare(part, [tasks[i] for i in members]):
                groups.append(([members[i] for i in indices], prepared))
        return groups

    def joined(self, groups: list[Group]) -> list[Group]:
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
        order = sorted(range(len(rows)), key=rows.__getitem__)

        def in_order(key: str) -> Any:
            """As in the batch, so that a recording for this batch size serves them. Images may be several entries a row."""
            whole = torch.cat([part[key] for part in tensors])
            return whole.view(len(rows), -1, *whole.shape[1:])[order].view(whole.shape)

        if any(len(value) % len(part) for (part, _), group in zip(groups, tensors, strict=True) for value in group.values()):
            return groups
        return [(sorted(rows), {**groups[0][1], **{key: in_order(key) for key in first}})]
