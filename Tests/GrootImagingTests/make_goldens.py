"""Writes ResizeGoldens.swift: PyTorch's own answers to 8-bit bilinear resizes.

Run with a Python that has torch: `python Tests/GrootImagingTests/make_goldens.py`. Sources are not stored: both sides make
them with the same generator.
"""

import hashlib
import pathlib

import torch

SIZES = [
    # (width, height) -> (width, height): what robots send and policies read, odd ones, and up-scaling.
    ((640, 480), (224, 224)),
    ((640, 480), (96, 96)),
    ((1280, 720), (256, 256)),
    ((320, 240), (196, 196)),
    ((96, 96), (224, 224)),
    ((37, 23), (41, 19)),
    ((5, 7), (1, 1)),
    ((1, 1), (3, 2)),
    ((640, 480), (640, 240)),
    ((7, 480), (9, 480)),
]


def pixels(width: int, height: int) -> bytes:
    """The generator of `Goldens.source` in Swift: a linear congruence, top byte."""
    state, out = width * 31 + height, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return bytes(out)


def main() -> None:
    lines = [
        f"/// Made by make_goldens.py with PyTorch {torch.__version__.split('+')[0]}: SHA-256 of `interpolate(uint8, bilinear)`.",
        "struct ResizeGolden: Sendable {",
        "    var from: [Int]",
        "    var to: [Int]",
        "    var sha256: String",
        "    var head: [UInt8]",
        "",
        "    static let all: [ResizeGolden] = [",
    ]
    for (width, height), (new_width, new_height) in SIZES:
        image = torch.frombuffer(bytearray(pixels(width, height)), dtype=torch.uint8).reshape(height, width, 3)
        batch = image.permute(2, 0, 1).unsqueeze(0)
        out = torch.nn.functional.interpolate(batch, size=(new_height, new_width), mode="bilinear", align_corners=False)
        data = out.squeeze(0).permute(1, 2, 0).contiguous().numpy().tobytes()
        lines += [
            "        ResizeGolden(",
            f"            from: [{width}, {height}],",
            f"            to: [{new_width}, {new_height}],",
            f'            sha256: "{hashlib.sha256(data).hexdigest()}",',
            f"            head: [{', '.join(str(b) for b in data[:12])}]",
            "        ),",
        ]
    lines += ["    ]", "}", ""]
    (pathlib.Path(__file__).parent / "ResizeGoldens.swift").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
