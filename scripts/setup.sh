#!/usr/bin/env bash
# Installs what is missing on Debian 12: system packages by name, and the ONNX Runtime shared library
# out of its wheel into .state/onnxruntime/. Does nothing, fast, when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    pkg-config libnghttp2-dev libssl-dev libpq-dev postgresql postgresql-client
    libmujoco-dev libosmesa6-dev libturbojpeg0-dev libpng-dev libxml2-dev zlib1g-dev
    python3 python3-pip python3-venv python3-grpcio openssl curl nghttp2-client util-linux
    python3-rosmaster python3-rospy python3-rostopic python3-roslaunch
    python3-sensor-msgs python3-geometry-msgs python3-std-msgs python3-std-srvs
    chromium chromium-driver fonts-noto-cjk python3-selenium python3-yaml python3-jsonschema prometheus binutils
    systemd-container mmdebstrap dnsmasq-base
)
onnxruntime_version=1.32

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

command -v swift >/dev/null || { echo "setup: Swift 6.3 is not on the PATH; install it from swift.org first" >&2; exit 69; }

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${#missing[@]} system packages: ${missing[*]}"
    run=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install ${missing[*]}" >&2; exit 69; }
        run=(sudo)
    fi
    "${run[@]}" apt-get update -qq
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Schemas of Kubernetes for the tests of deploy/kubernetes; there is no Debian package.
if [ ! -d .state/kubernetes/kubernetes_validate ]; then
    say "fetching kubernetes-validate"
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target .state/kubernetes "kubernetes-validate==1.37.*"
fi

# A Debian that boots, with what our packages depend on: for the tests that run the units under a real systemd.
machine=.state/debian-root
if [ ! -e "$machine/usr/lib/systemd/systemd" ] && [ "$(id -u)" -eq 0 ]; then
    say "making a Debian root for tests that boot systemd ($machine)"
    rm -rf "$machine"
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,postgresql,postgresql-client,curl,iproute2,procps \
        --include=libturbojpeg0,libpng16-16,libosmesa6,libmujoco2.2.2,libnghttp2-14,libpq5,libssl3,libxml2 \
        --customize-hook='systemd-machine-id-setup --root="$1"' \
        --customize-hook='chroot "$1" systemctl disable postgresql.service' \
        --customize-hook='chroot "$1" systemctl mask systemd-networkd-wait-online.service' bookworm "$machine"
fi

library=.state/onnxruntime/libonnxruntime.so
if [ ! -e "$library" ]; then
    say "fetching the ONNX Runtime $onnxruntime_version library out of its wheel"
    mkdir -p .state/onnxruntime
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' EXIT
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version 3.12 --dest "$wheels" "onnxruntime==$onnxruntime_version.*"
    python3 - "$wheels" "$library" <<'PYTHON'
import glob, os, sys, zipfile
wheels, library = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(wheels + "/onnxruntime-*.whl")[0])
[member] = [n for n in wheel.namelist() if n.startswith("onnxruntime/capi/libonnxruntime.so")]
partial = library + ".partial"
with open(partial, "wb") as out:
    out.write(wheel.read(member))
os.replace(partial, library)
print(f"    {os.path.basename(member)}, {os.path.getsize(library) >> 20} MiB")
PYTHON
fi

# Foreign peers for tests: a real gRPC client, and HTTP/2 frame by frame.
requirements=Tests/Conformance/requirements.txt
if ! cmp -s "$requirements" .state/python/requirements.txt; then
    say "Python peers for tests (.state/python): $(tr '\n' ' ' <"$requirements")"
    rm -rf .state/python
    /usr/bin/python3 -m venv .state/python
    .state/python/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" .state/python/requirements.txt
fi
