package import GrootCore
package import GrootImaging
package import ROS1

/// A camera's picture as its topic sent it.
///
/// A file stays a file until an observation needs it: a camera sends thirty a second, a policy looks at one or two.
package enum Picture: Sendable, Equatable {
    case pixels(CameraFrame)
    case jpeg([UInt8])
    case png([UInt8])

    package func decoded() throws(PictureError) -> CameraFrame {
        switch self {
        case .pixels(let frame): frame
        case .jpeg(let data): try JPEGDecoder().decode(data.span)
        case .png(let data): try PNGDecoder.decode(data.span)
        }
    }
}

/// What a camera's message holds: a picture that can be used, or why it cannot be. Pure.
package enum PictureReading: Sendable, Equatable {
    case picture(Picture, PictureForm)
    case flaw(InputFlaw)

    /// Encodings of `sensor_msgs/Image` with three colours of eight bits.
    private static let colours = ["rgb8": false, "bgr8": true]

    /// `rgb8` or `bgr8`; rows may be padded (`step`).
    package init(_ image: ROSImage) {
        let form = PictureForm(width: Int(image.width), height: Int(image.height), encoding: image.encoding)
        guard let isSwapped = Self.colours[image.encoding] else {
            self = .flaw(.encoding(form, isGrey: Self.isGrey(image.encoding)))
            return
        }
        if let flaw = InputFlaw(picture: form) {
            self = .flaw(flaw)
            return
        }
        let row = form.width * 3
        guard Int(image.step) >= row, image.data.count >= Int(image.step) * (form.height - 1) + row else {
            self = .flaw(.broken("\(form) with rows of \(image.step) bytes and \(image.data.count) bytes in all"))
            return
        }
        let pixels = Self.pixels(image, row: row, height: form.height, isSwapped: isSwapped)
        guard let frame = CameraFrame(width: form.width, height: form.height, pixels: pixels) else {
            self = .flaw(.broken("\(form)"))
            return
        }
        self = .picture(.pixels(frame), form)
    }

    /// A JPEG or PNG file in colours; its pixels are decoded when they are needed.
    package init(_ image: CompressedImage) {
        let (file, width, height, isGrey): (Picture, Int, Int, Bool)
        do throws(PictureError) {
            if PNGDecoder.isPNG(image.data) {
                let header = try PNGDecoder.header(of: image.data.span)
                (file, width, height) = (.png(image.data), header.width, header.height)
                isGrey = header.isGrey || header.isDeep
            } else {
                let header = try JPEGDecoder().header(of: image.data.span)
                (file, width, height, isGrey) = (.jpeg(image.data), header.width, header.height, header.isGrey)
            }
        } catch {
            self = .flaw(.broken("\(image.format.isEmpty ? "no format" : image.format): \(error)"))
            return
        }
        let form = PictureForm(width: width, height: height, encoding: image.format)
        // image_transport names the source's encoding first: "16UC1; compressedDepth", "mono8; jpeg compressed".
        guard !isGrey, !Self.isGrey(String(image.format.prefix { $0 != ";" })) else {
            self = .flaw(.encoding(form, isGrey: true))
            return
        }
        self = InputFlaw(picture: form).map(Self.flaw) ?? .picture(file, form)
    }

    /// A usable picture, for those who only read recordings.
    package var picture: Picture? {
        if case .picture(let picture, _) = self { return picture }
        return nil
    }

    package var content: InputContent {
        switch self {
        case .picture(_, let form): .picture(form)
        case .flaw(let flaw): .unusable(flaw)
        }
    }

    private static func isGrey(_ encoding: String) -> Bool {
        encoding.hasPrefix("mono") || encoding.hasSuffix("C1")
    }

    private static func pixels(_ image: ROSImage, row: Int, height: Int, isSwapped: Bool) -> [UInt8] {
        let step = Int(image.step)
        var pixels = image.data
        if step != row || pixels.count != row * height {
            pixels = []
            pixels.reserveCapacity(row * height)
            for line in 0..<height { pixels.append(contentsOf: image.data[line * step..<line * step + row]) }
        }
        if isSwapped {
            for index in stride(from: 0, to: pixels.count, by: 3) { pixels.swapAt(index, index + 2) }
        }
        return pixels
    }
}

extension InputFlaw {
    fileprivate static func encoding(_ form: PictureForm, isGrey: Bool) -> InputFlaw {
        InputFlaw(
            .unreadable,
            isGrey ? "\(form) is a grey or depth picture" : "\(form) is not an encoding that is read",
            "the policy needs colours: rgb8 or bgr8, or JPEG or PNG files (sensor_msgs/CompressedImage)"
        )
    }

    fileprivate static func broken(_ what: String) -> InputFlaw {
        InputFlaw(.unreadable, "\(what) is no whole picture", "look at the camera's driver")
    }
}
