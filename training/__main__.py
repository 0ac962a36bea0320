"""The whole way from a seed to a checked checkpoint: demonstrations, training, export, evaluation, report.

Stages whose result is already in the work directory are not repeated; delete the directory to start over.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import torch

from . import report
from .dataset import Demonstrations
from .evaluate import evaluate
from .export import export_and_check
from .network import GrootMini
from .train import Settings, train


def record(arguments: argparse.Namespace, directory: Path) -> list[str]:
    """Records the demonstrations unless they are there; returns the command."""
    command = [
        str(arguments.simulator), "demonstrate", "--episodes", str(arguments.episodes), "--seed", str(arguments.seed),
        "--refuse-clips", str(arguments.refuse_clips), "--out", str(directory), "--threads", str(arguments.threads),
    ]  # fmt: skip
    seconds = directory / "seconds.txt"
    if not (directory / "index.json").exists():
        began = time.monotonic()
        subprocess.run(command, check=True)
        seconds.write_text(f"{time.monotonic() - began:.1f}\n")
    return command


def trained(data: Demonstrations, directory: Path, settings: Settings, start: Path | None = None) -> dict[str, object]:
    """Trains into a directory unless that was finished before; returns the log."""
    log = directory / "weights.json"
    if not log.exists() or not json.loads(log.read_text())["finished"]:
        train(data, directory, settings, start)
    return json.loads(log.read_text())


def demonstration_facts(data: Demonstrations, directory: Path) -> dict[str, object]:
    """What the report says about the recording."""
    kinds = [episode["kind"] for episode in data.index["episodes"]]
    seconds = directory / "seconds.txt"
    return {
        "episodes": kinds.count("demo"),
        "refuse_clips": kinds.count("refuse"),
        "frames": len(data),
        "failed": data.index["failed_episodes"],
        "seed": data.index["seed"],
        "sigmas": data.index["sigmas"],
        "seconds": float(seconds.read_text()) if seconds.exists() else None,
    }


def main() -> None:
    """Parses the command line and runs all stages."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--simulator", type=Path, required=True, help="the groot-sim executable")
    parser.add_argument("--work", type=Path, default=Path(".state/training"), help="recordings, weights and logs")
    parser.add_argument("--checkpoint", type=Path, default=Path("policies/groot-mini"), help="where to export to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=420)
    parser.add_argument("--refuse-clips", type=int, default=100)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--second-steps", type=int, default=2000, help="second stage, at half the rate; 0 leaves it out")
    parser.add_argument("--minutes", type=float, help="limit of each stage's time; its schedule then ends early")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--float32", action="store_true", help="no bfloat16 convolutions (CPUs without avx512_bf16)")
    parser.add_argument("--main", type=int, default=100, help="evaluation: episodes of the headline")
    parser.add_argument("--language", type=int, default=30, help="evaluation: episodes per language and refuse group")
    parser.add_argument("--latency", type=int, default=30, help="evaluation: episodes per latency group")
    parser.add_argument("--replan", type=int, default=30, help="evaluation: episodes per re-plan group")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    recording, run = arguments.work / "demonstrations", arguments.work / "run"
    record(arguments, recording)
    data = Demonstrations.load(recording)
    first = Settings(
        steps=arguments.steps, minutes=arguments.minutes, seed=arguments.seed, bfloat16=not arguments.float32
    )
    # The second stage continues more chunks than it begins: that is what a robot asks for.
    second = replace(first, steps=arguments.second_steps, seed=first.seed + 1, learning_rate=5e-4, prefix_share=0.6)
    logs = [trained(data, run, first)]
    weights = run / "weights.pt"
    if second.steps:
        logs.append(trained(data, arguments.work / "run2", second, start=weights))
        weights = arguments.work / "run2" / "weights.pt"
    network = GrootMini()
    network.load_state_dict(torch.load(weights, weights_only=True)["network"])
    exported = export_and_check(network.eval(), arguments.checkpoint)
    parts = {name: getattr(arguments, name) for name in ("main", "language", "latency", "replan")}
    evaluation = evaluate(arguments.simulator, arguments.checkpoint, parts, arguments.threads)
    pipeline = {
        "--simulator": Path("groot-sim"), "--seed": arguments.seed, "--episodes": arguments.episodes,
        "--refuse-clips": arguments.refuse_clips, "--steps": arguments.steps,
        "--second-steps": arguments.second_steps,
        **({"--minutes": arguments.minutes} if arguments.minutes else {}), **{f"--{n}": c for n, c in parts.items()},
    }  # fmt: skip
    command = "python -m training " + " ".join(f"{name} {shlex.quote(str(value))}" for name, value in pipeline.items())
    report.write(
        arguments.checkpoint,
        {
            "commands": [command],
            "demonstrations": demonstration_facts(data, recording),
            "training": logs,
            "export": exported,
            "evaluation": evaluation,
        },
    )
    print((arguments.checkpoint / "REPORT.md").read_text())


if __name__ == "__main__":
    main()
