extension CameraFrame {
    /// Bilinear resize without antialiasing, pixel centres at half-integers (`align_corners` false).
    ///
    /// The rule that LeRobot's policy server applies to images (`torch.nn.functional.interpolate`,
    /// mode "bilinear"), computed in Float32 and rounded to the nearest level.
    package func resized(width newWidth: Int, height newHeight: Int) -> CameraFrame {
        if newWidth == width && newHeight == height { return self }
        let columns = Self.taps(from: width, to: newWidth)
        let rows = Self.taps(from: height, to: newHeight)
        let pixels = self.pixels.span
        let result = [UInt8](reserving: newWidth * newHeight * 3) { output in
            for row in rows {
                let upper = row.first * width * 3
                let lower = row.second * width * 3
                for column in columns {
                    for channel in 0..<3 {
                        let left = column.first * 3 + channel
                        let right = column.second * 3 + channel
                        let top =
                            Float(pixels[upper + left]) * (1 - column.weight) + Float(pixels[upper + right])
                            * column.weight
                        let bottom =
                            Float(pixels[lower + left]) * (1 - column.weight) + Float(pixels[lower + right])
                            * column.weight
                        output.append(UInt8((top * (1 - row.weight) + bottom * row.weight).rounded()))
                    }
                }
            }
        }
        return CameraFrame(width: newWidth, height: newHeight, uncheckedPixels: result)
    }

    private struct Tap {
        var first: Int
        var second: Int
        /// Share of `second`.
        var weight: Float
    }

    private static func taps(from source: Int, to target: Int) -> [Tap] {
        let scale = Float(source) / Float(target)
        return (0..<target).map { index in
            let position = max(0, (Float(index) + 0.5) * scale - 0.5)
            let first = min(Int(position), source - 1)
            return Tap(first: first, second: min(first + 1, source - 1), weight: position - Float(first))
        }
    }

    private init(width: Int, height: Int, uncheckedPixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = uncheckedPixels
    }
}

extension [UInt8] {
    /// Appends into reserved storage; kept apart so that the resize loop states its capacity once.
    fileprivate init(reserving capacity: Int, fill: (inout [UInt8]) -> Void) {
        self.init()
        reserveCapacity(capacity)
        fill(&self)
    }
}
