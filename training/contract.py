"""Names, shapes and units that the policy shares with the gateway, the worker and the simulator."""

from __future__ import annotations

from typing import Any

CHUNK_ROWS = 16
"""Rows of an action chunk; row i is the target to be reached (i + 1) * ACTION_PERIOD_S after the observation."""

ACTION_PERIOD_S = 0.1
JOINTS = 14
"""Arm joints, 7 left then 7 right, in rad. They come first in the state and in the action."""

STATE_NAMES: tuple[str, ...] = (
    *(f"arm_joint_{i}" for i in range(1, JOINTS + 1)),
    "left_claw_state",
    "right_claw_state",
)
ACTION_NAMES: tuple[str, ...] = (
    *(f"arm_joint_{i}" for i in range(1, JOINTS + 1)),
    "left_claw_position",
    "right_claw_position",
)
STATE_DIM = len(STATE_NAMES)
ACTION_DIM = len(ACTION_NAMES)

IMAGE_SIZE = 96
MAX_TASK_BYTES = 96
CAMERA_KEYS: tuple[str, str] = ("observation.images.cam_head", "observation.images.cam_chest")
STATE_KEY = "observation.state"
INPUT_NAMES: tuple[str, ...] = (*CAMERA_KEYS, STATE_KEY, "task", "noise", "prefix", "prefix_rows", "frozen_rows")
OUTPUT_NAME = "action"
OPSET = 17

PHASES: tuple[str, ...] = ("align", "reach", "squeeze", "lift", "pull", "center", "lower", "release", "home")


def encode_task(task: str) -> list[int]:
    """The lower-cased UTF-8 bytes of a sentence, zero padded to ``MAX_TASK_BYTES``.

    Raises ``ValueError`` for a sentence that is too long: cutting could lose the colour word.
    """
    data = task.lower().encode("utf-8")
    if len(data) > MAX_TASK_BYTES:
        raise ValueError(f"the task has {len(data)} bytes, at most {MAX_TASK_BYTES} are allowed: {task!r}")
    return [*data, *([0] * (MAX_TASK_BYTES - len(data)))]


def checkpoint_config() -> dict[str, Any]:
    """The content of ``config.json`` of an exported checkpoint (LeRobot ``pretrained_model`` layout)."""
    image = {"type": "VISUAL", "shape": [3, IMAGE_SIZE, IMAGE_SIZE]}
    return {
        "type": "groot_mini",
        "n_obs_steps": 1,
        "chunk_size": CHUNK_ROWS,
        "n_action_steps": CHUNK_ROWS,
        "input_features": {
            **{key: image for key in CAMERA_KEYS},
            STATE_KEY: {"type": "STATE", "shape": [STATE_DIM]},
        },
        "output_features": {OUTPUT_NAME: {"type": "ACTION", "shape": [ACTION_DIM]}},
        "groot": {
            "action_period_s": ACTION_PERIOD_S,
            "state_names": list(STATE_NAMES),
            "action_names": list(ACTION_NAMES),
            "max_task_bytes": MAX_TASK_BYTES,
            "supports_prefix": True,
        },
    }
