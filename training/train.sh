#!/usr/bin/env bash
# Demonstrations, training, export and closed-loop report of policies/groot-mini; arguments go to `python -m training`.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.state/venv
if [ ! -e "$venv/installed" ] || [ training/requirements.txt -nt "$venv/installed" ]; then
    printf '\033[1m==>\033[0m Python packages for training, into %s\n' "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r training/requirements.txt
    touch "$venv/installed"
fi
exec "$venv/bin/python" -m training --simulator .build/release/groot-sim "$@"
