"""Structural rules that the compiler does not check; prints file:line and the rule, exits 1 on any finding."""

import pathlib
import re
import sys

# Which of our modules a target may import. Executables never import each other; arrows point down only.
MAY_IMPORT = {
    "GrootCore": set(),
    "GrootAPI": {"GrootCore"},
    "GrootAdmin": {"GrootCore"},
    "GrootImaging": {"GrootCore", "CPNG", "CTurboJPEG"},
    "GrootSecurity": {"GrootCore"},
    "HTTP2": {"GrootCore", "CNGHTTP2", "COpenSSL"},
    "ROS1": {"GrootCore"},
    "GrootStore": {"GrootCore", "CPostgres"},
    "Gateway": {"GrootCore", "GrootAPI", "GrootAdmin", "GrootStore", "HTTP2"},
    "Worker": {"GrootCore", "GrootAPI", "GrootAdmin", "GrootImaging", "GrootSecurity", "CONNXRuntime"},
    "RobotAgent": {"GrootCore", "GrootAPI", "GrootAdmin", "GrootImaging", "GrootSecurity", "ROS1", "CRealTime"},
    "Simulator": {"GrootCore", "GrootAdmin", "ROS1", "CMuJoCo"},
}
OURS = set(MAY_IMPORT) | {
    "CNGHTTP2", "COpenSSL", "CPostgres", "CMuJoCo", "CONNXRuntime", "CRealTime", "CPNG", "CTurboJPEG", "GrootTesting",
}  # fmt: skip

# Where code that the compiler cannot prove memory-safe may live: C libraries, codecs, threads, the clock.
UNSAFE_FOLDERS = (
    "Sources/HTTP2/",
    "Sources/GrootStore/Postgres/",
    "Sources/GrootImaging/",
    "Sources/Gateway/Control/FleetRequestDeserializer.swift",
    "Sources/Worker/Runtime/",
    "Sources/Worker/Service/InferRequestShape.swift",
    "Sources/Worker/Checkpoint/CheckpointFile.swift",
    "Sources/Worker/LeRobot/PythonChild.swift",
    "Sources/Simulator/MuJoCo/",
    "Sources/RobotAgent/RealTime/",
    "Sources/ROS1/TCPROS/SubscriberSocket.swift",
    "Sources/GrootCore/Concurrency/DedicatedThread.swift",
    "Sources/GrootCore/Time/MonotonicInstant.swift",
)

IMPORT = re.compile(r"^\s*(?:@testable\s+)?(?:package |internal |private |fileprivate )?import (\w+)")
UNSAFE = re.compile(r"\bunsafe\b(?!\s*:)")
LONGEST_FILE = 600


def findings(root: pathlib.Path):
    for path in sorted(root.glob("Sources/**/*.swift")) + sorted(root.glob("Tests/**/*.swift")):
        name = path.relative_to(root).as_posix()
        if "/Generated/" in name:
            continue
        in_sources = name.startswith("Sources/")
        target = name.split("/")[1]
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > LONGEST_FILE:
            yield name, 1, f"{len(lines)} lines; split at {LONGEST_FILE}: one concept a file"
        previous = ""
        for number, line in enumerate(lines, start=1):
            code = line.split("//")[0]
            match = IMPORT.match(code)
            if match and in_sources and match[1] in OURS and match[1] not in MAY_IMPORT[target]:
                yield name, number, f"{target} must not import {match[1]}"
            if in_sources:
                if UNSAFE.search(re.sub(r'"[^"]*"', "", code)) and not name.startswith(UNSAFE_FOLDERS):
                    yield name, number, "unsafe code outside the folders for it (see scripts/lint_structure.py)"
                if "@unchecked Sendable" in code and "SAFETY:" not in previous + line:
                    yield name, number, "@unchecked Sendable needs a // SAFETY: line above it"
                if re.search(r"\btry!|\bas!", code):
                    yield name, number, "no forced try or cast outside tests"
                if re.search(r"//.*\b(TODO|FIXME|XXX)\b", line):
                    yield name, number, "finish it or file an issue"
            if line.strip():
                previous = line


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    count = 0
    for name, number, rule in findings(root):
        print(f"{name}:{number}: {rule}")
        count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
