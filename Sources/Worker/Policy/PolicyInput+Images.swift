import GrootAPI
import GrootCore
import GrootImaging

extension PolicyInput {
    /// Decodes and, where a robot sends another size, resizes as LeRobot's policy server does.
    ///
    /// Every size is checked before memory is taken for it: what is announced, what the bytes hold, and all together.
    ///
    /// - Throws: `badRequest` that names the image, what was expected and what came.
    static func images(
        _ images: [Groot_V1_Image],
        for policy: PolicyDescription
    ) throws(WorkerError) -> [[UInt8]] {
        let expected = policy.images.map(\.key).sorted()
        let found = images.map(\.key).sorted()
        guard expected == found else {
            throw WorkerError(
                .badRequest,
                "The images do not fit. Expected: \(ReadableText.list(expected)). Got: \(ReadableText.list(found))."
            )
        }
        var sizes: [(input: PolicyDescription.ImageInput, image: Groot_V1_Image, size: ImageSize)] = []
        var left = JPEGDecoder.maximumPixels
        for input in policy.images {
            guard let image = images.first(where: { $0.key == input.key }) else { continue }
            let size = try ImageSize(image, atMost: left)
            left -= size.pixels
            sizes.append((input, image, size))
        }
        var ordered: [[UInt8]] = []
        for (input, image, size) in sizes {
            if image.encoding == .rgb8, size.width == input.width, size.height == input.height {
                try checkBytes(image, size)
                ordered.append([UInt8](image.data))
            } else {
                ordered.append(try frame(image, size).resized(width: input.width, height: input.height).pixels)
            }
        }
        return ordered
    }

    /// What a request announces of an image, within what is read.
    private struct ImageSize {
        var width: Int
        var height: Int
        var pixels: Int

        /// - Parameter limit: pixels that the other images of the request leave.
        init(_ image: Groot_V1_Image, atMost limit: Int) throws(WorkerError) {
            guard image.width > 0, image.height > 0,
                let pixels = CheckedSize.product(Int(image.width), Int(image.height)), pixels <= limit
            else {
                throw WorkerError(
                    .badRequest,
                    "Image \(image.key) is \(image.width)x\(image.height); all images of a request together may have 1 to"
                        + " \(JPEGDecoder.maximumPixels) pixels."
                )
            }
            (width, height, self.pixels) = (Int(image.width), Int(image.height), pixels)
        }
    }

    private static func frame(_ image: Groot_V1_Image, _ size: ImageSize) throws(WorkerError) -> CameraFrame {
        switch image.encoding {
        case .rgb8:
            try checkBytes(image, size)
            guard let frame = CameraFrame(width: size.width, height: size.height, pixels: [UInt8](image.data)) else {
                throw WorkerError(
                    .badRequest,
                    "Image \(image.key) cannot be read as \(size.width)x\(size.height) RGB8."
                )
            }
            return frame
        case .jpeg:
            do throws(PictureError) {
                let bytes = [UInt8](image.data)
                return try JPEGDecoder().decode(bytes.span, expecting: .init(width: size.width, height: size.height))
            } catch {
                throw WorkerError(.badRequest, "Image \(image.key): \(error.message)", cause: error)
            }
        case .unspecified, .UNRECOGNIZED:
            throw WorkerError(
                .badRequest,
                "Image \(image.key) has encoding \(image.encoding), expected RGB8 or JPEG."
            )
        }
    }

    private static func checkBytes(_ image: Groot_V1_Image, _ size: ImageSize) throws(WorkerError) {
        // At most three times the limit above.
        let bytes = size.pixels * 3
        guard image.data.count == bytes else {
            throw WorkerError(
                .badRequest,
                "Image \(image.key) holds \(image.data.count) bytes, expected \(bytes) (height x width x 3)."
            )
        }
    }
}
