"""Which recording serves which batch (Sources/Worker/Python/capture.py), with a recorder that needs no GPU."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "Sources/Worker/Python"))

import torch  # noqa: E402
from capture import KEPT_PER_BATCH, GraphCache  # noqa: E402


class Recording:
    made = 0

    def __init__(self, torch, predict, groups, pool):
        if groups[0][1]["x"].shape[1] == 13:
            raise RuntimeError("cannot be recorded")
        Recording.made += 1
        self.number = Recording.made

    def run(self, groups):
        return "recording", self.number


def inputs(batch, width, dtype=torch.float32, rows=None):
    return [(rows or list(range(batch)), {"x": torch.zeros(batch, width, dtype=dtype), "text": "go"}, None)]


class Tests(unittest.TestCase):
    def setUp(self):
        Recording.made = 0
        self.cache = GraphCache(torch.device("cpu"), lambda groups: "eager", record=Recording)

    def test_each_batch_size_has_its_own(self):
        for batch in (2, 1):
            self.assertIsNone(self.cache.capture(batch, inputs(batch, 4)))
        self.assertEqual(self.cache.run(2, inputs(2, 4)), ("recording", 1))
        self.assertEqual(self.cache.run(1, inputs(1, 4)), ("recording", 2))

    def test_another_shape_type_or_order_of_rows_is_never_served_by_it(self):
        self.cache.capture(2, inputs(2, 4))
        for other in (inputs(2, 5), inputs(2, 4, torch.int64), inputs(2, 4, rows=[1, 0])):
            self.assertEqual(self.cache.run(2, other), "eager")
        self.assertEqual(self.cache.run(2, inputs(2, 4) * 2), "eager")

    def test_a_shape_that_comes_twice_is_recorded_and_the_oldest_makes_room(self):
        self.cache.capture(1, inputs(1, 4))
        for width in range(5, 5 + KEPT_PER_BATCH):
            self.assertEqual(self.cache.run(1, inputs(1, width)), "eager")
            self.assertEqual(self.cache.run(1, inputs(1, width)), ("recording", width - 3))
        self.assertEqual(self.cache.run(1, inputs(1, 4)), "eager")
        self.assertEqual(len(self.cache.graphs[1]), KEPT_PER_BATCH)

    def test_a_batch_that_cannot_be_recorded_says_why_once_and_runs_eagerly(self):
        self.assertIn("RuntimeError: cannot be recorded", self.cache.capture(1, inputs(1, 13)))
        for _ in range(3):
            self.assertEqual(self.cache.run(1, inputs(1, 13)), "eager")
        self.assertEqual(Recording.made, 0)

    def test_without_a_gpu_nothing_is_recorded(self):
        cache = GraphCache(torch.device("cpu"), lambda groups: "eager")
        self.assertIsNone(cache.capture(1, inputs(1, 4)))
        self.assertEqual(cache.run(1, inputs(1, 4)), "eager")


if __name__ == "__main__":
    unittest.main()
