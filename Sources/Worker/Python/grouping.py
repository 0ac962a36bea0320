"""Which rows of a batch may share an inference: the policy's own input for each group of them."""

from __future__ import annotations

from typing import Any

Group = tuple[list[int], dict[str, Any]]
PADDED = ("input_ids", "attention_mask", "mm_token_type_ids")
"""What a tokenizer makes as long as the longest sentence of a batch; under these names in GR00T N1.7 only."""


class Grouping:
    def __init__(self, preprocess: Any, by_sentence: bool) -> None:
        """`by_sentence`: the processors know one sentence per call."""
        import torch

        self.torch, self.preprocess, self.by_sentence = torch, preprocess, by_sentence

    def prepare(self, observation: dict[str, Any], tasks: list[str]) -> list[Group]:
        """Rows that may share an inference, each with the policy's own input.

        GR00T N1.5's pack step gives every row of a batch the first row's sentence, so rows of another sentence are prepared
        apart and joined again where their shapes agree.
        """
        if not self.by_sentence or len(set(tasks)) == 1:
            return self.unpadded(self.preprocess({**observation, "task": list(tasks)}), len(tasks))
        groups = []
        for task in dict.fromkeys(tasks):
            rows = [i for i, other in enumerate(tasks) if other == task]
            part = {key: value[rows] for key, value in observation.items()}
            groups.append((rows, self.preprocess({**part, "task": [task] * len(rows)})))
        return self.joined(groups)

    def unpadded(self, part: dict[str, Any], batch: int) -> list[Group]:
        """Rows with sentences of another length infer apart, without the padding on their left.

        GR00T N1.7 has layers behind its language model that do not mask it: a padded row would get another chunk. The
        processors run once for all, as decoding relative actions needs the states of the whole batch.
        """
        mask = part.get("attention_mask")
        lengths = [0] * batch if mask is None else [int(length) for length in mask.sum(1)]
        if len(set(lengths)) == 1:
            return [(list(range(batch)), part)]

        def cut(key: str, value: Any, rows: list[int]) -> Any:
            if not self.torch.is_tensor(value) or value.ndim == 0 or len(value) % batch:
                return value
            own = value.view(batch, -1, *value.shape[1:])[rows].flatten(0, 1)
            return own[:, -lengths[rows[0]] :] if key in PADDED else own

        groups = []
        for length in dict.fromkeys(lengths):
            rows = [i for i, other in enumerate(lengths) if other == length]
            groups.append((rows, {key: cut(key, value, rows) for key, value in part.items()}))
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
