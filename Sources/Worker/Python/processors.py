"""LeRobot's processors around a policy: loaded as they were saved, and asked for whole chunks where they can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_processors(config: Any, directory: Path, device: Any) -> tuple[Any, Any]:
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
        before["device_processor"] = {"device": str(device)}
    steps("policy_postprocessor.json")
    return make_pre_post_processors(config, pretrained_path=str(directory), preprocessor_overrides=before)


class ChunkFinisher:
    """From the model's units to the robot's; used by one thread."""

    def __init__(self, postprocess: Any) -> None:
        self.postprocess = postprocess
        # Learnt by the first chunk.
        self.whole_chunk: bool | None = None

    def finish(self, chunk: Any) -> Any:
        """Robot units. Whole chunks where the processor takes them, else all steps of all rows as one batch of steps."""
        chunk = chunk.float()
        batch, rows, _ = chunk.shape
        if self.whole_chunk is not False:
            try:
                whole = self.postprocess(chunk)
                # Fewer rows are GR00T N1.7's, for a robot whose actions do not fill its horizon.
                self.whole_chunk = whole.ndim == 3 and len(whole) == batch
                if self.whole_chunk:
                    return whole
            except (NotImplementedError, ValueError, RuntimeError, IndexError):
                if self.whole_chunk:
                    raise
                self.whole_chunk = False
        return self.postprocess(chunk.reshape(batch * rows, -1)).reshape(batch, rows, -1)
