"""Export to ONNX, and the checks that ONNX Runtime gives what torch gives and how long one chunk takes."""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from .contract import (
    ACTION_DIM,
    CHUNK_ROWS,
    IMAGE_SIZE,
    INPUT_NAMES,
    JOINTS,
    OPSET,
    OUTPUT_NAME,
    STATE_DIM,
    checkpoint_config,
    encode_task,
)
from .network import GrootMini, Sampler

TOLERANCE_RAD = 1e-4
TOLERANCE_PERCENT = 1e-2
"""Largest accepted differences between torch and ONNX Runtime: of the arm joints, and of the claws."""


def example_inputs(
    batch: int, seed: int, network: GrootMini, *, prefix_rows: int = 0, frozen_rows: int = 0
) -> dict[str, torch.Tensor]:
    """Random but plausible inputs; the state is drawn from the network's own normalisation."""
    generator = torch.Generator().manual_seed(seed)
    image = (batch, IMAGE_SIZE, IMAGE_SIZE, 3)
    state = network.state_mean + network.state_std * torch.randn(batch, STATE_DIM, generator=generator)
    relative = torch.randn(batch, CHUNK_ROWS, ACTION_DIM, generator=generator) * 0.5
    values = (
        torch.randint(0, 256, image, dtype=torch.uint8, generator=generator),
        torch.randint(0, 256, image, dtype=torch.uint8, generator=generator),
        state,
        torch.tensor([encode_task("Depalletize the red box")] * batch),
        torch.randn(batch, CHUNK_ROWS, ACTION_DIM, generator=generator),
        network.to_absolute(relative, state),
        torch.full((batch,), prefix_rows, dtype=torch.int64),
        torch.full((batch,), frozen_rows, dtype=torch.int64),
    )
    return dict(zip(INPUT_NAMES, values, strict=True))


def export(network: GrootMini, directory: Path) -> None:
    """Writes ``config.json`` and ``model.onnx`` with a dynamic batch on every input and on the output."""
    directory.mkdir(parents=True, exist_ok=True)
    sampler = Sampler(network).eval()
    inputs = example_inputs(2, 0, network, prefix_rows=4, frozen_rows=2)
    path = directory / "model.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            sampler,
            tuple(inputs.values()),
            str(path),
            input_names=list(INPUT_NAMES),
            output_names=[OUTPUT_NAME],
            dynamic_axes={name: {0: "batch"} for name in (*INPUT_NAMES, OUTPUT_NAME)},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
    (directory / "config.json").write_text(json.dumps(checkpoint_config(), indent=2) + "\n")


def session(directory: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


def run(onnx_session: onnxruntime.InferenceSession, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """One call of the exported graph."""
    return onnx_session.run([OUTPUT_NAME], {name: value.numpy() for name, value in inputs.items()})[0]


def check(network: GrootMini, directory: Path) -> dict[str, float]:
    """Compares torch with ONNX Runtime for several batch sizes and prefixes.

    Returns the largest differences; raises ``ValueError`` when one is too large or a prefix rule is broken.
    """
    sampler = Sampler(network).eval()
    onnx_session = session(directory)
    joints, claws = 0.0, 0.0
    for batch in (1, 2, 3, 8):
        for prefix_rows, frozen_rows in ((0, 0), (6, 2), (15, 4), (4, 4), (16, 0), (3, 9)):
            inputs = example_inputs(batch, batch, network, prefix_rows=prefix_rows, frozen_rows=frozen_rows)
            with torch.no_grad():
                expected = sampler(*inputs.values()).numpy()
            got = run(onnx_session, inputs)
            difference = np.abs(expected - got)
            joints = max(joints, float(difference[:, :, :JOINTS].max()))
            claws = max(claws, float(difference[:, :, JOINTS:].max()))
            frozen = min(prefix_rows, frozen_rows)
            if not np.array_equal(got[:, :frozen], inputs["prefix"].numpy()[:, :frozen]):
                raise ValueError(f"frozen rows were changed (prefix {prefix_rows}, frozen {frozen_rows})")

    plain = example_inputs(3, 7, network)
    ignored = dict(plain, prefix=torch.full_like(plain["prefix"], float("nan")), frozen_rows=torch.full((3,), 5))
    if not np.array_equal(run(onnx_session, plain), run(onnx_session, ignored)):
        raise ValueError("prefix_rows = 0 does not ignore the prefix")
    single = np.concatenate(
        [run(onnx_session, {name: value[i : i + 1] for name, value in plain.items()}) for i in range(3)]
    )
    batching = float(np.abs(single - run(onnx_session, plain)).max())
    if max(joints, batching) > TOLERANCE_RAD or claws > TOLERANCE_PERCENT:
        raise ValueError(
            f"ONNX differs from torch by {joints:.2e} rad and {claws:.2e} %, single from batched by {batching:.2e}"
        )
    return {"onnx_against_torch_rad": joints, "onnx_against_torch_percent": claws, "single_against_batched": batching}


def measure(network: GrootMini, directory: Path, repeats: int = 60) -> dict[str, dict[str, float]]:
    """Milliseconds per call on one thread for batch sizes 1, 2, 4 and 8 (median and 95th percentile)."""
    onnx_session = session(directory, threads=1)
    result: dict[str, dict[str, float]] = {}
    for batch in (1, 2, 4, 8):
        inputs = {name: value.numpy() for name, value in example_inputs(batch, 0, network).items()}
        for _ in range(5):
            onnx_session.run(None, inputs)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            onnx_session.run(None, inputs)
            times.append((time.perf_counter() - start) * 1000)
        result[str(batch)] = {
            "median_ms": round(statistics.median(times), 2),
            "p95_ms": round(statistics.quantiles(times, n=20)[-1], 2),
        }
    return result


def export_and_check(network: GrootMini, directory: Path) -> dict[str, object]:
    """Export, check and measure; the result goes into the report."""
    export(network, directory)
    return {
        "parameters_exported": sum(
            p.numel() for name, p in network.named_parameters() if not name.startswith("training_heads")
        ),
        "onnx_bytes": (directory / "model.onnx").stat().st_size,
        "difference": check(network, directory),
        "one_thread": measure(network, directory),
    }


def random_network(seed: int) -> GrootMini:
    """An untrained network of exactly the exported interface, for tests of the serving path."""
    torch.manual_seed(seed)
    network = GrootMini()
    for block in network.flow.blocks:
        torch.nn.init.normal_(block.modulation.weight, std=0.02)
    torch.nn.init.normal_(network.flow.modulation.weight, std=0.02)
    return network.eval()


def main() -> None:
    """Exports a trained checkpoint, or an untrained one when none is given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--weights", type=Path, help="weights written by training.train; random ones when left out")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint directory to write")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    network = random_network(arguments.seed)
    if arguments.weights:
        network.load_state_dict(torch.load(arguments.weights, weights_only=True)["network"])
    print(json.dumps(export_and_check(network, arguments.out), indent=2))


if __name__ == "__main__":
    main()
