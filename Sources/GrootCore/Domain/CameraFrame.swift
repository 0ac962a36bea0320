/// One camera image: `height` x `width` x 3 bytes, RGB, row-major, no padding.
package struct CameraFrame: Hashable, Sendable {
    package var width: Int
    package var height: Int
    package var pixels: [UInt8]

    /// Fails when the number of bytes does not match the size.
    package init?(width: Int, height: Int, pixels: [UInt8]) {
        guard width > 0, height > 0, pixels.count == width * height * 3 else { return nil }
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Turned by half a circle, for cameras that are mounted upside down.
    package func rotated180() -> CameraFrame {
        var turned = self
        let count = width * height
        for pixel in 0..<count {
            let from = pixel * 3
            let to = (count - 1 - pixel) * 3
            turned.pixels[to] = pixels[from]
            turned.pixels[to + 1] = pixels[from + 1]
            turned.pixels[to + 2] = pixels[from + 2]
        }
        return turned
    }
}
