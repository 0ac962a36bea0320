"""Closed-loop evaluation of an exported checkpoint in ``groot-sim gym``, with latency and with unseen scenes."""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from .chunk_player import ChunkPlayer, Timing
from .contract import ACTION_DIM, CAMERA_KEYS, CHUNK_ROWS, JOINTS, OUTPUT_NAME, STATE_KEY, encode_task
from .export import session
from .gym import Gym

FIRST_SEED = 100_001
"""Evaluation scenes; demonstrations use seeds from 1."""

TIMEOUT_S = 20.0

WORDINGS: tuple[str, ...] = (
    "Depalletize the {} box",
    "Take the {} box and put it on the belt",
    "Move the {} carton to the belt",
    "Please grab the {} box",
    "Pick up the {} box",
    "Unload the {} carton from the pallet",
)
"""The sentences of the demonstrations."""

NEW_WORDINGS: tuple[str, ...] = (
    "Could you bring me that {} parcel please",
    "{}",
    "We need the {} one from the top of the pallet next",
)
"""Sentences that were never seen in training."""

NEW_COLOURS: tuple[str, ...] = ("turquoise", "violet", "golden")
"""Colour words that were never seen in training; the right thing is to stay home."""

TRAINED_UNKNOWN_COLOURS: tuple[str, ...] = ("purple", "orange", "white", "black", "pink", "brown", "grey", "cyan")


@dataclass(frozen=True)
class Episode:
    """One episode to play. ``wording`` holds a ``{}`` for the colour; ``colour`` is which colour word to put there:
    ``target`` and ``other`` (upper cartons), ``lower`` (a carton below another one), or the word itself."""

    group: str
    seed: int
    wording: str = WORDINGS[0]
    colour: str = "target"
    upper_case: bool = False
    timing: Timing = Timing()


@dataclass(frozen=True)
class Result:
    """How an episode ended. ``jump_rad`` is the largest step of a joint target at a change of chunks."""

    group: str
    seed: int
    task: str
    colour: str
    wording: str
    outcome: str
    reason: str
    time_s: float
    jump_rad: float

    @property
    def good(self) -> bool:
        """Success, or staying home where that is right."""
        return self.outcome in ("success", "refused")


class Policy:
    """An exported checkpoint; one session, so one per thread."""

    def __init__(self, directory: Path) -> None:
        self._session: onnxruntime.InferenceSession = session(directory)

    def chunk(
        self,
        images: np.ndarray,
        state: np.ndarray,
        task: str,
        noise: np.ndarray,
        prefix: tuple[np.ndarray, int, int],
    ) -> np.ndarray:
        """Absolute targets [16, 16] for one observation."""
        rows, prefix_rows, frozen_rows = prefix
        inputs = {
            CAMERA_KEYS[0]: images[None, 0],
            CAMERA_KEYS[1]: images[None, 1],
            STATE_KEY: state[None],
            "task": np.array([encode_task(task)], np.int64),
            "noise": noise[None],
            "prefix": rows[None],
            "prefix_rows": np.array([prefix_rows], np.int64),
            "frozen_rows": np.array([frozen_rows], np.int64),
        }
        return self._session.run([OUTPUT_NAME], inputs)[0][0]


def sentence(gym: Gym, episode: Episode) -> tuple[str, str]:
    """The task of an episode and its colour word, looked up in the scene where necessary."""
    colour = episode.colour
    if colour in ("target", "other", "lower"):
        scene = gym.reset(episode.seed, None, TIMEOUT_S)
        carton = {"target": scene.target, "other": 1 - scene.target, "lower": 2 + episode.seed % 2}[colour]
        colour = scene.colours[carton]
    task = episode.wording.format(colour)
    return (task.upper() if episode.upper_case else task), colour


def play(gym: Gym, policy: Policy, episode: Episode) -> Result:
    """Plays one episode; the first target is held until the first chunk arrives."""
    task, colour = sentence(gym, episode)
    moment = gym.reset(episode.seed, task, TIMEOUT_S)
    player = ChunkPlayer(episode.timing)
    rng = np.random.default_rng(episode.seed)
    command = moment.state.copy()
    jump = 0.0
    tick = 0
    while moment.running:
        if player.wants_plan(tick):
            if moment.images is None:
                raise RuntimeError("no images at the tick of an observation")
            noise = rng.standard_normal((CHUNK_ROWS, ACTION_DIM)).astype(np.float32)
            player.accept(tick, policy.chunk(moment.images, moment.state, task, noise, player.prefix(tick)))
        before = player.active
        action = player.action(tick)
        if action is not None:
            if before is not None and player.active is not before:
                jump = max(jump, float(np.abs(action - command)[:JOINTS].max()))
            command = action
        tick += 1
        moment = gym.step(command, images=player.wants_plan(tick))
    return Result(
        episode.group,
        episode.seed,
        task,
        colour,
        episode.wording,
        moment.outcome,
        moment.reason,
        moment.time_s,
        round(jump, 4),
    )


def play_all(simulator: Path, checkpoint: Path, episodes: list[Episode], threads: int) -> list[Result]:
    """Plays episodes on several simulator processes; results come back in the order of ``episodes``."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(episodes)):
        waiting.put(index)
    results: dict[int, Result] = {}
    failures: list[BaseException] = []

    def work() -> None:
        try:
            policy = Policy(checkpoint)
            with Gym(simulator) as gym:
                while not failures:
                    index = waiting.get_nowait()
                    results[index] = play(gym, policy, episodes[index])
        except queue.Empty:
            return
        except BaseException as error:  # handed to the caller below
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(episodes))]


def main_episodes(count: int) -> list[Episode]:
    """The headline: every wording in turn, the scene's own target (colours are drawn by the scene)."""
    return [
        Episode("main: latency 100 ms", FIRST_SEED + i, WORDINGS[i % len(WORDINGS)]) for i in range(count)
    ]


def language_episodes(count: int) -> list[Episode]:
    """The other top carton, new wordings, upper case, and everything that must be refused."""
    seeds = range(FIRST_SEED + 1000, FIRST_SEED + 1000 + count)
    episodes = [Episode("language: the other top carton is named", s, colour="other") for s in seeds]
    for i, seed in enumerate(seeds):
        episodes += [
            Episode("language: wording never seen", seed, NEW_WORDINGS[i % len(NEW_WORDINGS)]),
            Episode("language: upper case", seed, upper_case=True),
            Episode("refuse: lower layer", seed, WORDINGS[i % len(WORDINGS)], "lower"),
            Episode(
                "refuse: unknown colour", seed, WORDINGS[i % len(WORDINGS)],
                TRAINED_UNKNOWN_COLOURS[i % len(TRAINED_UNKNOWN_COLOURS)],
            ),
            Episode("refuse: colour word never seen", seed, colour=NEW_COLOURS[i % len(NEW_COLOURS)]),
        ]
    return episodes


def latency_episodes(count: int) -> list[Episode]:
    """Longer latencies, with and without prefix."""
    episodes = []
    for latency in (2, 4):
        for prefix in ("none", "frozen", "soft"):
            group = f"latency {latency}00 ms, prefix {prefix}"
            for i in range(count):
                timing = Timing(latency=latency, prefix=prefix)
                episodes.append(Episode(group, FIRST_SEED + 2000 + i, timing=timing))
    return episodes


def replan_episodes(count: int) -> list[Episode]:
    """Other settings of the loop at 100 ms latency."""
    settings = (("re-plan 8, prefix soft", Timing(prefix="soft")), ("re-plan 4", Timing(replan=4)),
                ("re-plan 4, prefix soft", Timing(replan=4, prefix="soft")))
    return [
        Episode(name, FIRST_SEED + 3000 + i, timing=timing) for name, timing in settings for i in range(count)
    ]


def rate(results: list[Result], key: Callable[[Result], str]) -> dict[str, dict[str, object]]:
    """Count, good ones, outcomes and mean length per key."""
    table: dict[str, dict[str, object]] = {}
    for name in dict.fromkeys(key(r) for r in results):
        group = [r for r in results if key(r) == name]
        good = [r for r in group if r.good]
        table[name] = {
            "episodes": len(group),
            "good": len(good),
            "outcomes": dict(Counter(r.outcome for r in group)),
            "mean_time_s": round(float(np.mean([r.time_s for r in good])), 2) if good else None,
            "median_jump_rad": round(float(np.median([r.jump_rad for r in group])), 4),
        }
    return table


def summarise(results: list[Result]) -> dict[str, object]:
    """Tables by group, and the headline group by colour and by wording; failures are listed one by one."""
    headline = [r for r in results if r.group.startswith("main")]
    return {
        "groups": rate(results, lambda r: r.group),
        "main_by_colour": rate(headline, lambda r: r.colour),
        "main_by_wording": rate(headline, lambda r: r.wording),
        "failures": [asdict(r) for r in results if not r.good],
    }


def evaluate(
    simulator: Path, checkpoint: Path, parts: dict[str, int], threads: int = 2
) -> dict[str, object]:
    """Plays the parts asked for (name to number of episodes per group) and summarises them."""
    makers = {
        "main": main_episodes,
        "language": language_episodes,
        "latency": latency_episodes,
        "replan": replan_episodes,
    }
    episodes = [episode for name, count in parts.items() for episode in makers[name](count)]
    began = time.monotonic()
    results = play_all(simulator, checkpoint, episodes, threads)
    return summarise(results) | {"seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    """Evaluates a checkpoint and prints (or writes) the result as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--simulator", type=Path, required=True, help="the groot-sim executable")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--main", type=int, default=100, help="episodes of the headline")
    parser.add_argument("--language", type=int, default=0, help="episodes per language and refuse group")
    parser.add_argument("--latency", type=int, default=0, help="episodes per latency group")
    parser.add_argument("--replan", type=int, default=0, help="episodes per re-plan group")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the JSON here")
    arguments = parser.parse_args()
    parts = {name: getattr(arguments, name) for name in ("main", "language", "latency", "replan")}
    result = evaluate(arguments.simulator, arguments.checkpoint, parts, arguments.threads)
    text = json.dumps(result, indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
