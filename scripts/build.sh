#!/usr/bin/env bash
# Builds with visible progress: `build.sh release` for the executables, `build.sh package` for those that go into
# packages, `build.sh tests` for everything in debug.
# Warnings are errors in every target of ours (Package.swift).
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-release}" in
    release) arguments=(-c release) ; what="release build" ;;
    # Not in .build: another set of flags there would make the next release build compile everything again. Only the
    # executables: test helpers need the dynamic runtime.
    package) arguments=(-c release --static-swift-stdlib --scratch-path .state/package-build) ; what="release build with the Swift runtime linked in"
        products=(groot-gateway groot-worker groot-agent groot-sim) ;;
    tests) arguments=(--build-tests) ; what="debug build with tests" ;;
    *) echo "build: say release, package or tests" >&2; exit 64 ;;
esac

mkdir -p .state
log=.state/build-${1:-release}.log
printf '\033[1m==>\033[0m %s (log: %s; the first one compiles all dependencies, some minutes)\n' "$what" "$log"
started=$SECONDS
compile() {
    for product in "${products[@]:-}"; do
        swift build "${arguments[@]}" ${product:+--product "$product"} || return 1
    done
}
compile >"$log" 2>&1 &
build=$!
while kill -0 "$build" 2>/dev/null; do
    sleep 1
    if (( (SECONDS - started) % 10 == 0 )); then
        step=$(grep -oE '^\[[0-9]+/[0-9]+\] .*' "$log" | tail -n 1 | cut -c 1-100 || true)
        [ -n "$step" ] && printf '    %4d s  %s\n' $((SECONDS - started)) "$step"
    fi
done
if ! wait "$build"; then
    grep -E 'error:|warning: unre' "$log" | sort -u | head -n 40 >&2
    echo "build: failed; the whole log is in $log" >&2
    exit 1
fi
printf '    done in %d s\n' $((SECONDS - started))
