"""A policy without LeRobot and without packages, for tests of the child's supervision: does what the task says."""

import os
import struct
import time


def load_policy(settings, progress):
    progress("reading the script")
    name = os.path.basename(settings["directory"])
    if name == "dies-loading":
        os.kill(os.getpid(), 9)
    if name == "hangs-loading":
        time.sleep(600)
    if name == "fails-loading":
        raise ValueError("the weights do not fit the configuration")
    return Scripted(name)


class Scripted:
    def __init__(self, name):
        self.name = name
        self.has_lost_device = False
        self.description = {
            "policy_type": "scripted",
            "images": [["observation.images.a", 2, 1]],
            "state_dim": 2,
            "action_dim": 2,
            "chunk_size": 3,
            "supports_prefix": True,
            "max_task_bytes": 64,
            "version": "scripted",
            "memory_bytes": 1 << 20,
            "state_names": ["left", "right"],
            "action_names": ["left", "right"],
            "rows_per_second": 10,
        }

    def warm_up(self, batch, arena):
        if self.name == "fails-warming" and batch == 2:
            raise MemoryError("CUDA out of memory")
        return None

    def check_device(self):
        if self.has_lost_device:
            raise RuntimeError("CUDA error: device-side assert triggered")

    def run(self, rows, arena):
        for number, row in enumerate(rows):
            task = arena.task(number, row["task_bytes"])
            if task == "die":
                os.kill(os.getpid(), 9)
            if task == "hang":
                time.sleep(600)
            if task == "fail":
                raise ValueError("the policy does not like this")
            if task == "lose the device":
                self.has_lost_device = True
                raise RuntimeError("CUDA error: device-side assert triggered")
            if task == "memory":
                raise MemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            left, right = struct.unpack("2f", bytes(arena.row("state", number)))
            pixels = sum(arena.row("observation.images.a", number))
            values = []
            for step in range(3):
                values += [left + step, float("nan") if task == "nan" else right + pixels]
            if row["prefix_rows"]:
                values[: 2 * row["frozen_rows"]] = struct.unpack("6f", bytes(arena.row("prefix", number)))[
                    : 2 * row["frozen_rows"]
                ]
            arena.row("chunk", number)[:] = struct.pack("6f", *values)
        return {"preprocess": 1000, "infer": 2000, "postprocess": 1000}
