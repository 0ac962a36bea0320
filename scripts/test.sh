#!/usr/bin/env bash
# Runs the built tests; `test.sh Name` only those that match.
set -euo pipefail
cd "$(dirname "$0")/.."
export GROOT_ONNXRUNTIME="$PWD/.state/onnxruntime/libonnxruntime.so"
arguments=(--skip-build)
[ $# -gt 0 ] && [ -n "$1" ] && arguments+=(--filter "$1")
exec swift test "${arguments[@]}"
