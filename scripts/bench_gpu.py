"""`make bench-gpu`: a policy in the sizes of GR00T N1.5, random weights, from a client's request to the chunk.

One robot up to sixteen at once, each asking again as soon as it is answered; through the worker with CUDA graphs, through the
worker eagerly, and behind LeRobot's own PolicyServer (one robot: it serves no more) where LeRobot can be imported. All in one
run, so that the ratios hold. The page goes to .state/bench-gpu.md.

Needs: a Python (`--python`) with PyTorch; grpcio for this script; the worker in release. Without network, compiler or Swift
on the GPU machine: `make bench-gpu BUNDLE=DIR` gathers worker, its libraries, grpcio and the scripts here; copy DIR there and
run `DIR/run`. TINY=1 takes a few narrow layers: a check of the whole path on any CPU, no measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / ".state" / "bench-gpu.md"
POLICY = ROOT / "training" / "groot_sized.py"
TINY = {
    "image": 56, "vision_layers": 1, "vision_width": 64, "vision_heads": 2, "vision_hidden": 128, "text_tokens": 40,
    "language_layers": 1, "language_width": 128, "language_heads": 4, "language_hidden": 256, "fusion_layers": 1,
    "action_layers": 1, "action_width": 64, "action_heads": 2,
}  # fmt: skip
AIMS = "Aims on one H100: one robot at most 12 ms and at least 3 times as fast as eager; sixteen at least 240 chunks/s."


def checkpoint(folder: pathlib.Path, tiny: bool, graph: bool) -> tuple[pathlib.Path, dict]:
    """A directory for training/groot_sized.py."""
    sized = TINY if tiny else {}
    image = sized.get("image", 224)
    config = {
        "type": "groot-sized",
        "graph": graph,
        "sized": sized,
        "input_features": {
            **{f"observation.images.camera_{i}": {"type": "VISUAL", "shape": [3, image, image]} for i in range(2)},
            "observation.state": {"type": "STATE", "shape": [64]},
        },
        "output_features": {"action": {"type": "ACTION", "shape": [32]}},
        "groot": {
            "action_period_s": 0.1,
            "state_names": [f"joint_{i}" for i in range(64)],
            "action_names": [f"joint_{i}" for i in range(32)],
        },
    }
    place = folder / ("graph" if graph else "eager")
    place.mkdir()
    (place / "config.json").write_text(json.dumps(config))
    return place, config


def machine(python: str) -> str:
    code = "import torch; print('PyTorch', torch.__version__, 'on', torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU')"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"bench-gpu: {python} cannot import PyTorch; name one that can with --python\n{answer.stderr[-400:]}")
    return answer.stdout.strip()


def gpu_megabytes() -> int | None:
    """What all processes on the first GPU hold."""
    try:
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None


class Row:
    def __init__(self, trips: list[float], seconds: float) -> None:
        trips = sorted(trips)
        self.p50, self.p95 = (trips[min(len(trips) - 1, int(len(trips) * share))] * 1e3 for share in (0.5, 0.95))
        self.rate = len(trips) / seconds


def through_worker(arguments: argparse.Namespace, folder: pathlib.Path, graph: bool) -> tuple[dict[int, Row], int | None, str]:
    from bench_worker import Worker, drive

    place, config = checkpoint(folder, arguments.tiny, graph)
    flags = ["--runtime", "lerobot", "--python", arguments.python, "--python-policy", str(POLICY), "--device", "auto",
             "--max-batch", str(max(arguments.robots)), "--load-timeout", "1800"]  # fmt: skip
    if arguments.compile and graph:
        flags.append("--compile")
    before = gpu_megabytes()
    with Worker(place, *flags, binary=arguments.worker, ready_seconds=1800) as worker:
        rows = {}
        for robots in arguments.robots:
            rows[robots] = Row(drive(worker, config, robots, arguments.seconds)[0], arguments.seconds)
            print(f"    {robots:2d} robots: p50 {rows[robots].p50:.1f} ms, {rows[robots].rate:.0f} chunks/s", flush=True)
        after = gpu_megabytes()
        notes = sorted({line for line in worker.log.read_text().splitlines() if "runs eagerly" in line})
    memory = None if before is None or after is None else after - before
    return rows, memory, "; ".join(notes)


def through_lerobot(arguments: argparse.Namespace, folder: pathlib.Path) -> Row | str:
    """One robot, or why not."""
    from fleet import free_port

    script = ROOT / "scripts" / "bench_gpu_lerobot.py"
    # In the folder: the import alone makes a logs/ where it runs.
    probe = subprocess.run(
        [arguments.python, "-c", "import lerobot.async_inference.policy_server"], capture_output=True, text=True, cwd=folder
    )
    if probe.returncode:
        return f"not run: {arguments.python} cannot import LeRobot's server ({probe.stderr.strip().splitlines()[-1]})"
    port = str(free_port(0))
    log = folder / "lerobot.log"
    with log.open("wb") as output:
        server = subprocess.Popen([arguments.python, script, "serve", folder / "eager", port], stdout=output, stderr=output, cwd=folder)
    try:
        limit = time.monotonic() + 1800
        while "serving" not in log.read_text() and server.poll() is None and time.monotonic() < limit:
            time.sleep(0.2)
        driver = subprocess.run(
            [arguments.python, script, "drive", folder / "eager", port, str(arguments.seconds)],
            capture_output=True, text=True, cwd=folder, timeout=arguments.seconds + 300,
        )  # fmt: skip
    finally:
        server.kill()
        server.wait()
    if driver.returncode:
        return f"failed: {driver.stderr[-300:]} {log.read_text()[-300:]}"
    return Row(json.loads(driver.stdout.strip().splitlines()[-1]), arguments.seconds)


def page(arguments: argparse.Namespace, where: str, graph: tuple, eager: tuple, lerobot: Row | str) -> str:
    lines = [
        "# A GR00T-N1.5-sized policy behind the worker",
        "",
        f"{where}; {'TINY layers: no measurement' if arguments.tiny else '1.78 billion random weights'}; {arguments.seconds:g} s a row.",
        "Round trips from a client's request (two raw images) to the chunk, all robots at once, ms.",
        "",
        "| robots | graph p50 | p95 | chunks/s | eager p50 | p95 | chunks/s | graph is faster |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for robots in arguments.robots:
        fast, slow = graph[0][robots], eager[0][robots]
        lines.append(
            f"| {robots} | {fast.p50:.1f} | {fast.p95:.1f} | {fast.rate:.0f} | {slow.p50:.1f} | {slow.p95:.1f} | {slow.rate:.0f} |"
            f" {slow.p50 / fast.p50:.2f} x |"
        )
    lines.append("")
    if isinstance(lerobot, Row):
        one = graph[0][arguments.robots[0]]
        lines.append(
            f"LeRobot's own PolicyServer, one robot: p50 {lerobot.p50:.1f}, p95 {lerobot.p95:.1f} ms, {lerobot.rate:.1f} chunks/s;"
            f" the worker answers one in {one.p50:.1f} ms ({lerobot.p50 / one.p50:.2f} x)."
        )
    else:
        lines.append(f"LeRobot's own PolicyServer: {lerobot}.")
    for name, (_, memory, notes) in (("graph", graph), ("eager", eager)):
        lines.append(f"GPU memory, {name}: {'no GPU' if memory is None else f'{memory} MB'}.{' Notes: ' + notes if notes else ''}")
    return "\n".join([*lines, "", AIMS, ""])


def bundle(target: pathlib.Path, python_version: str) -> None:
    """Everything for a machine that has Python with PyTorch and nothing else of ours."""
    binary = ROOT / ".build/release/groot-worker"
    (target / "lib").mkdir(parents=True, exist_ok=True)
    shutil.copy2(binary, target / "groot-worker")
    system = ("libc.so", "libm.so", "ld-linux", "libstdc++", "libgcc_s", "linux-vdso", "libpthread", "libdl.so", "librt.so")
    for line in subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, rest = line.strip().partition(" => ")
        if rest and not name.startswith(system):
            shutil.copy2(rest.split(" (")[0], target / "lib" / name)
    for folder in ("scripts", "training"):
        shutil.copytree(ROOT / folder, target / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target", target / "python", "--only-binary=:all:", "--upgrade"]
    subprocess.run([*pip, "--python-version", python_version, "--platform", "manylinux2014_x86_64", "grpcio"], check=True)
    (target / "run").write_text(
        '#!/bin/sh\n# Arguments of bench_gpu.py, such as --python PATH, --compile, --robots 1,16.\nhere=$(cd "$(dirname "$0")" && pwd)\n'
        'export LD_LIBRARY_PATH="$here/lib:$LD_LIBRARY_PATH" PYTHONPATH="$here/python:$PYTHONPATH"\n'
        'exec python3 "$here/scripts/bench_gpu.py" --worker "$here/groot-worker" --python "$(command -v python3)" "$@"\n'
    )
    (target / "run").chmod(0o755)
    print(f"{target}: copy it to the GPU machine (Python {python_version} with PyTorch) and run {target.name}/run")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=str(ROOT / ".state/lerobot/bin/python"), help="a Python with PyTorch (and LeRobot)")
    parser.add_argument("--worker", type=pathlib.Path, default=ROOT / ".build/release/groot-worker")
    parser.add_argument("--robots", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=10, help="per row")
    parser.add_argument("--compile", action="store_true", help="torch.compile before recording (minutes)")
    parser.add_argument("--tiny", action="store_true", default=os.environ.get("TINY") == "1")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    parser.add_argument("--bundle", type=pathlib.Path, help="gather what a bare GPU machine needs into this folder, run nothing")
    parser.add_argument("--python-version", default="3.12", help="of the GPU machine, for --bundle")
    arguments = parser.parse_args()
    if arguments.bundle:
        bundle(arguments.bundle, arguments.python_version)
        return 0
    if not os.access(arguments.worker, os.X_OK):
        sys.exit(f"bench-gpu: {arguments.worker} is missing; build it, or bring it along (--bundle)")
    try:
        import grpc  # noqa: F401
    except ImportError:
        sys.exit("bench-gpu: this Python has no grpcio; install it, or bring it along (--bundle)")
    where = machine(arguments.python)
    print(where, flush=True)
    if where.endswith("CPU") and not arguments.tiny:
        sys.exit("bench-gpu: no GPU here; TINY=1 checks the whole path on the CPU")
    with tempfile.TemporaryDirectory(prefix="groot-bench-gpu-") as name:
        folder = pathlib.Path(name)
        print("through the worker, one recorded CUDA graph per batch size", flush=True)
        graph = through_worker(arguments, folder, True)
        print("through the worker, eager", flush=True)
        eager = through_worker(arguments, folder, False)
        print("behind LeRobot's PolicyServer", flush=True)
        lerobot = through_lerobot(arguments, folder)
    arguments.page.parent.mkdir(parents=True, exist_ok=True)
    arguments.page.write_text(page(arguments, where, graph, eager, lerobot))
    print(f"\n{arguments.page.read_text()}\n{arguments.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
