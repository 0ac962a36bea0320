"""REPORT.md and report.json of a checkpoint, written from the logs of training, export and evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def table(heads: list[str], rows: list[list[object]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def rates(title: str, groups: dict[str, dict[str, Any]]) -> list[str]:
    """A table of success rates."""
    rows: list[list[object]] = [
        [
            name,
            f"{group['good']}/{group['episodes']}",
            ", ".join(f"{outcome} {count}" for outcome, count in group["outcomes"].items()),
            group["mean_time_s"],
            group["median_jump_rad"],
        ]
        for name, group in groups.items()
    ]
    return [f"### {title}", "", *table(["what", "good", "outcomes", "mean time s", "median jump rad"], rows)]


def training_section(log: dict[str, Any]) -> list[str]:
    """Loss curve and validation of one training run."""
    curve = log["curve"]
    shown = [p for i, p in enumerate(curve) if i % max(1, len(curve) // 12) == 0 or p is curve[-1]]
    names = ["step", "seconds", "flow", "regression", "pose", "phase"]
    validation = log["validation"]
    return [
        f"{log['frames']} training frames (of them {log['refuse_frames']} of refuse clips), {log['parameters']} parameters, "
        f"{log['steps_done']} steps of {log['settings']['batch']}, {log['seconds']:.0f} s.",
        "",
        "Loss, mean over 50 steps (flow: squared error of the standardised velocity; the others are auxiliary):",
        "",
        *table(names, [[point[name] for name in names] for point in shown]),
        "Validation on frames of unseen episodes (averaged weights):",
        "",
        *table(list(validation[0]), [list(point.values()) for point in validation]),
    ]


def write(directory: Path, report: dict[str, Any]) -> None:
    """Writes both files into a checkpoint directory."""
    (directory / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    demos, export, evaluation = report["demonstrations"], report["export"], report["evaluation"]
    speed = [[batch, t["median_ms"], t["p95_ms"]] for batch, t in export["one_thread"].items()]
    differences = export["difference"]
    lines = [
        "# groot-mini: how it was made and what it can do",
        "",
        "Written by `python -m training` (see [training/README.md](../../training/README.md)); all raw figures are in report.json.",
        "",
        "## Commands",
        "",
        "```sh",
        *report["commands"],
        "```",
        "",
        "## Demonstrations",
        "",
        f"{demos['episodes']} episodes of the scripted expert and {demos['refuse_clips']} refuse clips, "
        f"{demos['frames']} frames at 10 Hz, seeds from {demos['seed']}, command noise {demos['sigmas']} rad, "
        f"{demos['failed']} failed episodes left out" + (f", {demos['seconds']:.0f} s." if demos.get("seconds") else "."),
        "",
        "## Training",
        "",
        *(line for log in report["training"] for line in training_section(log)),
        "## Export",
        "",
        f"{export['parameters_exported']} parameters, model.onnx {export['onnx_bytes'] / 1e6:.1f} MB. "
        f"Largest differences: ONNX Runtime against torch {differences['onnx_against_torch_rad']:.1e} rad (claws "
        f"{differences['onnx_against_torch_percent']:.1e} %), batched against single {differences['single_against_batched']:.1e}.",
        "",
        "One chunk on one CPU thread:",
        "",
        *table(["batch", "median ms", "p95 ms"], speed),
        "## Closed loop",
        "",
        f"Unseen scenes (seeds from 100001), chunk of 16, re-plan every 8 and latency 100 ms unless said; "
        f"{evaluation['seconds']:.0f} s of wall time. Good is success, or staying home where nothing may be taken. "
        "The jump is the largest step of a joint target at a change of chunks (median over episodes).",
        "",
        *rates("Groups", evaluation["groups"]),
        *rates("Headline by colour", evaluation["main_by_colour"]),
        *rates("Headline by wording", evaluation["main_by_wording"]),
        "### Episodes that were not good",
        "",
    ]
    failures = [
        [f["group"], f["seed"], f["task"], f["outcome"], f["reason"], f["time_s"]] for f in evaluation["failures"]
    ]
    lines += table(["group", "seed", "task", "outcome", "reason", "s"], failures) if failures else ["None.", ""]
    (directory / "REPORT.md").write_text("\n".join(lines).rstrip() + "\n")
