import CPNG
package import GrootCore

/// Reads PNG files with colours into RGB frames, through libpng's simplified interface.
///
/// Nothing outlives a call. Grey pictures and those of 16 bits a channel are refused by name: a camera that sends them
/// measures depth or has no colours, and a policy would see what it never saw.
package enum PNGDecoder {
    /// Begins every PNG file.
    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    package struct Header: Hashable, Sendable {
        package var width: Int
        package var height: Int
        package var isGrey: Bool
        package var isDeep: Bool
    }

    package static func isPNG(_ data: [UInt8]) -> Bool { data.starts(with: signature) }

    /// The size of the picture and what its pixels are, without decoding it.
    package static func header(of data: Span<UInt8>) throws(PictureError) -> Header {
        let reading = try Reading(data)
        return reading.header
    }

    /// The whole picture.
    ///
    /// - Parameter maximumPixels: a header that announces more is refused before memory is taken for it.
    package static func decode(
        _ data: Span<UInt8>,
        maximumPixels: Int = JPEGDecoder.maximumPixels
    ) throws(PictureError) -> CameraFrame {
        let reading = try Reading(data)
        let header = reading.header
        guard !header.isGrey, !header.isDeep else {
            let kind = header.isDeep ? "has 16 bits a channel" : "is grey"
            throw PictureError(.notPNG, "The PNG \(kind); send 8-bit RGB.")
        }
        let (pixels, overflow) = header.width.multipliedReportingOverflow(by: header.height)
        guard !overflow, pixels <= maximumPixels else {
            throw PictureError(
                .tooLarge,
                "The PNG is \(header.width)x\(header.height), at most \(maximumPixels) pixels are read."
            )
        }
        return try reading.pixels(of: data, header)
    }
}

/// One file being read. Owns libpng's control structure, freed in `deinit`.
///
/// The library keeps the structure's address from the first call on: it stays where it was made, and a copy would crash at the
/// first warning.
@safe
private final class Reading {
    private let image: UnsafeMutablePointer<png_image>

    init(_ data: borrowing Span<UInt8>) throws(PictureError) {
        unsafe image = .allocate(capacity: 1)
        unsafe image.initialize(to: png_image())
        unsafe image.pointee.version = png_uint_32(PNG_IMAGE_VERSION)
        let isPNG = unsafe data.withUnsafeBufferPointer { bytes in
            unsafe png_image_begin_read_from_memory(image, bytes.baseAddress, bytes.count) != 0
        }
        guard isPNG else { throw PictureError(.notPNG, "The \(data.count) bytes are no PNG file: \(reason).") }
    }

    deinit {
        unsafe png_image_free(image)
        unsafe image.deallocate()
    }

    var header: PNGDecoder.Header {
        let format = unsafe image.pointee.format
        return PNGDecoder.Header(
            width: unsafe Int(image.pointee.width),
            height: unsafe Int(image.pointee.height),
            isGrey: format & png_uint_32(PNG_FORMAT_FLAG_COLOR) == 0,
            isDeep: format & png_uint_32(PNG_FORMAT_FLAG_LINEAR) != 0
        )
    }

    /// - Parameter data: the file that was begun with; the library reads on in it.
    func pixels(of data: Span<UInt8>, _ header: PNGDecoder.Header) throws(PictureError) -> CameraFrame {
        unsafe image.pointee.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
        // What is transparent shows black.
        var decoded = [UInt8](repeating: 0, count: header.width * header.height * 3)
        let isRead = unsafe decoded.withUnsafeMutableBytes { buffer in
            unsafe png_image_finish_read(image, nil, buffer.baseAddress, 0, nil) != 0
        }
        guard isRead, let frame = CameraFrame(width: header.width, height: header.height, pixels: decoded) else {
            throw PictureError(
                .damaged,
                "The PNG of \(data.count) bytes is cut off or damaged: \(reason). Send the whole file."
            )
        }
        return frame
    }

    /// What the library says of the failure.
    private var reason: String {
        unsafe withUnsafeBytes(of: image.pointee.message) { bytes in
            let text = unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            return text.isEmpty ? "no reason given" : text
        }
    }
}
