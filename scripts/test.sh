#!/usr/bin/env bash
# Runs the built tests; `test.sh Name` only those that match, `test.sh Operation` those of Tests/Operation. Suites that
# run a control loop or a whole fleet against the clock end in "SerialTests": they get the machine to themselves, after
# all others.
set -euo pipefail
cd "$(dirname "$0")/.."
export GROOT_ONNXRUNTIME="$PWD/.state/onnxruntime/libonnxruntime.so"

# deploy/, certificates and the dashboard, with the built executables, openssl, dpkg, promtool and a browser.
operation() {
    (cd Tests/Operation && PYTHONPATH="$PWD/../../.state/kubernetes" /usr/bin/python3 -W error::ResourceWarning -m unittest --verbose \
        test_certificates test_units test_packages test_dashboard test_install)
}

if [ "${1:-}" = Operation ]; then
    operation
    exit
fi
if [ -n "${1:-}" ]; then
    exec swift test --skip-build --filter "$1"
fi
# A few at a time: hundreds at once on two cores make deadlines of seconds pass unserved.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=12
swift test --skip-build --skip SerialTests
swift test --skip-build --no-parallel --filter SerialTests
operation
