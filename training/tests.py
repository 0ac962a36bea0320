"""Tests of the training code: ``python -m unittest training.tests``. They need no simulator and take a few seconds."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from .chunk_player import ChunkPlayer, Timing
from .contract import ACTION_DIM, CHUNK_ROWS, JOINTS, MAX_TASK_BYTES, STATE_DIM, encode_task
from .dataset import Augmentation, Demonstrations, batches
from .export import example_inputs, export_and_check, random_network
from .network import Sampler
from .train import Settings, train


def write_recording(directory: Path, frames: int, refuses: int) -> None:
    """A made-up recording in the simulator's format; the last ``refuses`` frames are refuse clips."""
    rng = np.random.default_rng(0)
    rng.integers(0, 256, (frames, 2, 96, 96, 3), np.uint8).tofile(directory / "images.u8")
    state = rng.normal(size=(frames, STATE_DIM)).astype(np.float32)
    state.tofile(directory / "state.f32")
    chunk = state[:, None] + 0.3 + 0.1 * rng.normal(size=(frames, CHUNK_ROWS, ACTION_DIM)).astype(np.float32)
    chunk.astype(np.float32).tofile(directory / "chunk.f32")
    aux = rng.normal(size=(frames, 5)).astype(np.float32)
    aux[:, 4] = rng.integers(0, 9, frames)
    aux[frames - refuses :, :4] = np.nan
    aux.tofile(directory / "aux.f32")
    task = np.tile(np.array(encode_task("Depalletize the red box"), np.uint8), (frames, 1))
    task.tofile(directory / "task.u8")
    (directory / "index.json").write_text("{}")


class TaskTests(unittest.TestCase):
    def test_lower_case_padding_and_limit(self) -> None:
        self.assertEqual(encode_task("Ab"), [97, 98] + [0] * (MAX_TASK_BYTES - 2))
        self.assertEqual(len(encode_task("x" * MAX_TASK_BYTES)), MAX_TASK_BYTES)
        with self.assertRaises(ValueError):
            encode_task("x" * (MAX_TASK_BYTES + 1))


class SamplerTests(unittest.TestCase):
    def setUp(self) -> None:
        self.network = random_network(3)
        self.sampler = Sampler(self.network).eval()

    def sample(self, **changes: torch.Tensor) -> torch.Tensor:
        inputs = example_inputs(2, 5, self.network) | changes
        with torch.no_grad():
            return self.sampler(*inputs.values())

    def test_frozen_rows_are_kept_and_change_the_rest(self) -> None:
        inputs = example_inputs(2, 5, self.network, prefix_rows=3, frozen_rows=3)
        with torch.no_grad():
            got = self.sampler(*inputs.values())
        self.assertTrue(torch.equal(got[:, :3], inputs["prefix"][:, :3]))
        self.assertFalse(torch.allclose(got[:, 3:], self.sample()[:, 3:], atol=1e-5))

    def test_soft_rows_are_refined_and_frozen_rows_are_not(self) -> None:
        rows = torch.tensor([6, 6])
        inputs = example_inputs(2, 5, self.network)
        got = self.sample(prefix_rows=rows, frozen_rows=rows - 4)
        distance = (got - inputs["prefix"]).abs().mean(dim=(0, 2))
        self.assertEqual(float(distance[:2].max()), 0)
        self.assertGreater(float(distance[2]), 0)

    def test_without_prefix_its_content_does_not_matter(self) -> None:
        prefix = torch.full((2, CHUNK_ROWS, ACTION_DIM), float("nan"))
        self.assertTrue(torch.equal(self.sample(), self.sample(prefix=prefix, frozen_rows=torch.tensor([4, 9]))))

    def test_arms_are_relative_to_the_state_and_claws_are_not(self) -> None:
        inputs = example_inputs(2, 5, self.network)
        absolute = self.network.to_absolute(torch.zeros(2, CHUNK_ROWS, ACTION_DIM), inputs["observation.state"])
        self.assertTrue(torch.equal(absolute[:, 4, :JOINTS], inputs["observation.state"][:, :JOINTS]))
        self.assertEqual(float(absolute[:, :, JOINTS:].abs().max()), 0)


class ChunkPlayerTests(unittest.TestCase):
    def test_rows_follow_the_observation_and_the_old_chunk_runs_on(self) -> None:
        player = ChunkPlayer(Timing(latency=2, replan=4, prefix="soft"))
        seen = []
        for tick in range(12):
            if player.wants_plan(tick):
                prefix, count, frozen = player.prefix(tick)
                if tick == 8:
                    self.assertEqual((count, frozen), (12, 2))
                    self.assertEqual(list(prefix[:3, 0]), [404, 405, 406])
                rows = 100 * tick + np.arange(CHUNK_ROWS)[:, None] + np.zeros(ACTION_DIM)
                player.accept(tick, rows)
            action = player.action(tick)
            seen.append(None if action is None else int(action[0]))
        self.assertEqual(seen, [None, None, 2, 3, 4, 5, 402, 403, 404, 405, 802, 803])


class TrainingTests(unittest.TestCase):
    def test_batches_hold_the_share_of_refuse_frames(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            write_recording(Path(name), 120, 40)
            data = Demonstrations.load(Path(name))
        training, validation = data.split(0.1)
        self.assertEqual((len(training), len(validation)), (108, 12))
        batch = next(batches(data, training, 20, 0.25, np.random.default_rng(0), Augmentation()))
        self.assertEqual(int(batch.pose[:, 0].isnan().sum()), 5)
        self.assertEqual(tuple(batch.chest.shape), (20, 3, 96, 96))
        self.assertTrue(0 <= float(batch.head.min()) and float(batch.head.max()) <= 1)

    def test_a_few_steps_lower_the_loss_and_the_result_exports(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            write_recording(directory, 120, 40)
            data = Demonstrations.load(directory)
            settings = Settings(steps=100, batch=16, warmup=5, validation_share=0.1)
            network = train(data, directory / "run", settings, every=100)
            curve = json.loads((directory / "run" / "weights.json").read_text())["curve"]
            self.assertLess(curve[-1]["flow"], curve[0]["flow"])
            exported = export_and_check(network, directory / "policy")
        self.assertLess(exported["difference"]["onnx_against_torch_rad"], 1e-4)


if __name__ == "__main__":
    unittest.main()
