extension CameraFrame {
    /// Bilinear resize without antialiasing, pixel centres at half-integers (`align_corners` false), bit for bit as
    /// PyTorch's CPU `interpolate` does it on 8-bit images: what LeRobot's policy server does to every image.
    ///
    /// PyTorch works there in two passes, columns first, each with 16-bit fixed-point weights and rounded to 8 bits.
    package func resized(width newWidth: Int, height newHeight: Int) -> CameraFrame {
        if newWidth == width && newHeight == height { return self }
        let columns = ResizeTaps(from: width, to: newWidth)
        let rows = ResizeTaps(from: height, to: newHeight)
        let narrowed = newWidth == width ? pixels : resizedColumns(columns)
        let result = newHeight == height ? narrowed : Self.resizedRows(narrowed, rows, stride: newWidth * 3)
        return CameraFrame(width: newWidth, height: newHeight, uncheckedPixels: result)
    }

    private func resizedColumns(_ columns: ResizeTaps) -> [UInt8] {
        let source = pixels.span
        let result = [UInt8](capacity: columns.taps.count * height * 3) { output in
            for row in 0..<height {
                let base = row * width * 3
                for tap in columns.taps {
                    let left = base + tap.first * 3
                    let right = base + tap.second * 3
                    for channel in 0..<3 {
                        output.append(columns.mix(tap, source[left + channel], source[right + channel]))
                    }
                }
            }
        }
        return result
    }

    private static func resizedRows(_ pixels: [UInt8], _ rows: ResizeTaps, stride: Int) -> [UInt8] {
        let source = pixels.span
        let result = [UInt8](capacity: rows.taps.count * stride) { output in
            for tap in rows.taps {
                let upper = tap.first * stride
                let lower = tap.second * stride
                for column in 0..<stride {
                    output.append(rows.mix(tap, source[upper + column], source[lower + column]))
                }
            }
        }
        return result
    }

    private init(width: Int, height: Int, uncheckedPixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = uncheckedPixels
    }
}

/// Which two source positions make one target position along one axis, in fixed point.
private struct ResizeTaps {
    struct Tap {
        var first: Int
        var second: Int
        var firstWeight: Int32
        var secondWeight: Int32
    }

    /// Bits behind the point: as many as keep the largest weight within 16 bits.
    let precision: Int32
    let taps: [Tap]

    init(from source: Int, to target: Int) {
        let scale = Double(source) / Double(target)
        let exact = (0..<target).map { index -> (Int, Int, Double, Double) in
            let position = max(0, (Double(index) + 0.5) * scale - 0.5)
            let first = min(Int(position), source - 1)
            let share = min(max(position - Double(first), 0), 1)
            // At the last position both weights fall on the same pixel.
            return first + 1 < source ? (first, first + 1, 1 - share, share) : (first, first, 1, 0)
        }
        let largest = exact.map { max($0.2, $0.3) }.max() ?? 1
        var precision: Int32 = 0
        while precision < 22, Int(0.5 + largest * Double(1 << (precision + 1))) < 1 << 15 { precision += 1 }
        let unit = Double(1 << precision)
        self.precision = precision
        taps = exact.map {
            Tap(
                first: $0.0,
                second: $0.1,
                firstWeight: Int32(0.5 + $0.2 * unit),
                secondWeight: Int32(0.5 + $0.3 * unit)
            )
        }
    }

    func mix(_ tap: Tap, _ first: UInt8, _ second: UInt8) -> UInt8 {
        let sum = Int32(first) * tap.firstWeight + Int32(second) * tap.secondWeight + (1 << (precision - 1))
        return UInt8(clamping: sum >> precision)
    }
}

extension [UInt8] {
    /// Fills reserved storage by appending; states the capacity once.
    fileprivate init(capacity: Int, fill: (inout [UInt8]) -> Void) {
        self.init()
        reserveCapacity(capacity)
        fill(&self)
    }
}
