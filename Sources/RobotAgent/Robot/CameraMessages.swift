package import GrootCore
import GrootImaging
package import ROS1

extension Picture {
    /// Fails for what has no JPEG header; PNG and depth images among them.
    package init?(_ image: CompressedImage) {
        // Why it failed is said with format and size by the caller.
        guard (try? JPEGDecoder().header(of: image.data.span)) != nil else { return nil }
        self = .jpeg(image.data)
    }
}

extension CameraFrame {
    /// Fails for anything but well-formed `rgb8`; rows may be padded (`step`).
    package init?(_ image: ROSImage) {
        let width = Int(image.width)
        let height = Int(image.height)
        let row = width * 3
        guard image.encoding == "rgb8", width > 0, height > 0, Int(image.step) >= row,
            image.data.count >= Int(image.step) * (height - 1) + row
        else { return nil }
        if Int(image.step) == row {
            self.init(
                width: width,
                height: height,
                pixels: image.data.count == row * height ? image.data : Array(image.data.prefix(row * height))
            )
            return
        }
        var pixels: [UInt8] = []
        pixels.reserveCapacity(row * height)
        for line in 0..<height {
            let start = line * Int(image.step)
            pixels.append(contentsOf: image.data[start..<start + row])
        }
        self.init(width: width, height: height, pixels: pixels)
    }
}
