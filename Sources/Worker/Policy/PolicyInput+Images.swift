import GrootAPI
import GrootCore
import GrootImaging

extension PolicyInput {
    /// Decodes and, where a robot sends another size, resizes as LeRobot's policy server does.
    ///
    /// - Throws: `badRequest` that names the image, what was expected and what came.
    static func images(
        _ images: [Groot_V1_Image],
        for policy: PolicyDescription
    ) throws(WorkerError) -> [[UInt8]] {
        let expected = policy.images.map(\.key).sorted()
        let found = images.map(\.key).sorted()
        guard expected == found else {
            throw WorkerError(.badRequest, "The images do not fit. Expected: \(expected). Got: \(found).")
        }
        var ordered: [[UInt8]] = []
        for input in policy.images {
            guard let image = images.first(where: { $0.key == input.key }) else { continue }
            if image.encoding == .rgb8, image.width == input.width, image.height == input.height {
                try checkSize(image)
                ordered.append([UInt8](image.data))
            } else {
                ordered.append(try frame(image).resized(width: input.width, height: input.height).pixels)
            }
        }
        return ordered
    }

    private static func frame(_ image: Groot_V1_Image) throws(WorkerError) -> CameraFrame {
        let (width, height) = (Int(image.width), Int(image.height))
        guard width > 0, height > 0, width * height <= JPEGDecoder.maximumPixels else {
            throw WorkerError(
                .badRequest,
                "Image \(image.key) is \(width)x\(height), expected 1 to \(JPEGDecoder.maximumPixels) pixels."
            )
        }
        switch image.encoding {
        case .rgb8:
            try checkSize(image)
            guard let frame = CameraFrame(width: width, height: height, pixels: [UInt8](image.data)) else {
                throw WorkerError(.badRequest, "Image \(image.key) cannot be read as \(width)x\(height) RGB8.")
            }
            return frame
        case .jpeg:
            let frame: CameraFrame
            do throws(JPEGError) {
                let bytes = [UInt8](image.data)
                frame = try JPEGDecoder().decode(bytes.span, maximumPixels: width * height)
            } catch {
                throw WorkerError(.badRequest, "Image \(image.key): \(error.message)", cause: error)
            }
            guard frame.width == width, frame.height == height else {
                throw WorkerError(
                    .badRequest,
                    "Image \(image.key) is a JPEG of \(frame.width)x\(frame.height), announced as \(width)x\(height)."
                )
            }
            return frame
        case .unspecified, .UNRECOGNIZED:
            throw WorkerError(
                .badRequest,
                "Image \(image.key) has encoding \(image.encoding), expected RGB8 or JPEG."
            )
        }
    }

    private static func checkSize(_ image: Groot_V1_Image) throws(WorkerError) {
        let bytes = Int(image.width) * Int(image.height) * 3
        guard image.data.count == bytes else {
            throw WorkerError(
                .badRequest,
                "Image \(image.key) holds \(image.data.count) bytes, expected \(bytes) (height x width x 3)."
            )
        }
    }
}
