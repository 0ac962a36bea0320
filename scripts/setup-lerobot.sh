#!/usr/bin/env bash
# A LeRobot of its own for the tests that run real checkpoints, in .state/lerobot; part of `make test`'s set-up.
#
# About 50 s and 2 GB where pip is configured with a CPU build of PyTorch (it prefers one: local versions come first), 1.8 minutes
# and 5.8 GB with PyPI's, which brings CUDA's libraries. Never fails: without LeRobot its tests are skipped, and
# .state/lerobot-skipped says why. Another Python with LeRobot: GROOT_LEROBOT_PYTHON.
set -uo pipefail
cd "$(dirname "$0")/.."
version=0.4.4
torch=2.13.0
torchvision=0.28.0
needed_gb=10
step_seconds=400
home=.state/lerobot
python=$home/bin/python
skipped=.state/lerobot-skipped
done_mark=$home/installed-$version-1

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
skip() {
    say "LeRobot tests will be SKIPPED: $*"
    echo "$*" >"$skipped"
    rm -rf "$home" "${work:-}"
    exit 0
}

if [ -n "${GROOT_LEROBOT_PYTHON:-}" ] || [ -e "$done_mark" ]; then
    rm -f "$skipped"
    exit 0
fi
mkdir -p .state
rm -rf "$home"
free_gb=$(($(df --output=avail -k .state | tail -1) >> 20))
[ "$free_gb" -ge "$needed_gb" ] || skip "$free_gb GB are free here, the installation may need $needed_gb"

work=$(mktemp -d "$PWD/.state/lerobot-work-XXXXXX")
log=.state/setup-lerobot.log
trap 'rm -rf "$work"' EXIT
# Same disk as the environment: files are linked, not copied; removed at the end, so that no cache is left behind.
export UV_CACHE_DIR=$work/cache UV_LINK_MODE=hardlink
: >"$log"
attempt() { timeout "$step_seconds" "$@" >>"$log" 2>&1; }

say "LeRobot $version for the tests into $home: PyTorch $torch (log in $log)"
attempt python3 -m venv "$home" || skip "python3 -m venv failed, see $log"
attempt "$python" -m pip install --disable-pip-version-check --no-cache-dir uv "torch==$torch" ||
    skip "PyTorch could not be installed, see $log"

# What LeRobot brings for cameras, teleoperation, video and experiment tracking, which no test touches, and kernels for GPUs;
# its upper bound on PyTorch is older than the one here.
overrides=$work/overrides
{
    echo "torch==$torch"
    echo "torchvision==$torchvision"
    for unused in triton torchcodec cmake wandb rerun-sdk pynput; do echo "$unused; sys_platform == 'none'"; done
} >"$overrides"
say "LeRobot $version: LeRobot and what its policies need ($(du -sm "$home" | cut -f1) MB so far)"
attempt "$home/bin/uv" pip install --python "$python" --override "$overrides" \
    "lerobot[smolvla]==$version" "peft>=0.13,<1" "timm>=1,<1.1" dm-tree grpcio "onnx==1.23.*" "onnxruntime==1.32.*" ||
    skip "LeRobot could not be installed, see $log"

# PyPI's torchvision is compiled against CUDA's PyTorch: with a CPU build its operators (nms and the like, which no policy
# uses) cannot be loaded, and its import fails for want of their names. The names are enough.
if ! attempt "$python" -c "import torchvision"; then
    cat >>"$home"/lib/python3*/site-packages/torchvision/extension.py <<'PYTHON'


if not _has_ops():
    for _name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
PYTHON
fi
attempt "$python" -c "
from lerobot.policies.factory import get_policy_class
for kind in ('act', 'diffusion', 'smolvla', 'groot'): get_policy_class(kind)" ||
    skip "LeRobot cannot be imported, see $log"
touch "$done_mark"
rm -f "$skipped"
say "LeRobot $version is ready ($(du -sm "$home" | cut -f1) MB)"
