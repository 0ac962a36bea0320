#!/usr/bin/env bash
# A LeRobot of its own for the tests that run real checkpoints, in .state/lerobot (7 GB, about a minute): PyPI's torch brings
# CUDA's libraries even where there is no GPU. `make test` does not run this script: without
# LeRobot those tests are skipped, visibly. Another Python with LeRobot: GROOT_LEROBOT_PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.4.4
home=.state/lerobot

if [ -n "${GROOT_LEROBOT_PYTHON:-}" ]; then exit 0; fi
if [ -e "$home/installed-$version" ]; then exit 0; fi

printf '\033[1m==>\033[0m LeRobot %s for the tests, into %s\n' "$version" "$home"
python3 -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check uv
# Triton compiles kernels for GPUs; nothing here does.
exclusions=$(mktemp)
trap 'rm -f "$exclusions"' EXIT
echo "triton; sys_platform == 'none'" >"$exclusions"
"$home/bin/uv" pip install --quiet --python "$home/bin/python" --override "$exclusions" \
    "lerobot==$version" "onnx==1.23.*" "onnxruntime==1.32.*"
touch "$home/installed-$version"
