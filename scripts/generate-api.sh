#!/usr/bin/env bash
# Regenerates Sources/GrootAPI/Generated from the .proto files. The result is committed, so users never need this.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v protoc >/dev/null || { echo "generate: install protobuf-compiler first" >&2; exit 69; }
swift build -c release --package-path .build/checkouts/swift-protobuf --scratch-path .build/generators --product protoc-gen-swift
swift build -c release --package-path .build/checkouts/grpc-swift-protobuf --scratch-path .build/generators --product protoc-gen-grpc-swift-2
generators=.build/generators/release
options=Visibility=Package,FileNaming=DropPath,UseAccessLevelOnImports=true
(cd Sources/GrootAPI/Protos && find . -name '*.proto' | sed 's|^\./||' | sort) | while read -r proto; do
    echo "    $proto"
    protoc -ISources/GrootAPI/Protos \
        --plugin="$generators/protoc-gen-swift" \
        --plugin=protoc-gen-grpc-swift="$generators/protoc-gen-grpc-swift-2" \
        --swift_out=Sources/GrootAPI/Generated --swift_opt="$options" \
        --grpc-swift_out=Sources/GrootAPI/Generated --grpc-swift_opt="$options" \
        "$proto"
done
