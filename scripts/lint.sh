#!/usr/bin/env bash
# Format (strict) and the structural rules of docs/decisions: import directions, unsafe code, forced unwraps.
set -euo pipefail
cd "$(dirname "$0")/.."
printf '\033[1m==>\033[0m lint\n'
swift format lint --strict --recursive --parallel Sources Tests Package.swift
python3 scripts/lint_structure.py
