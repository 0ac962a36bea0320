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
        try unsafe data.withUnsafeBufferPointer { bytes throws(PictureError) in
            var image = try unsafe begin(bytes)
            defer { unsafe png_image_free(&image) }
            return unsafe header(image)
        }
    }

    /// The whole picture.
    ///
    /// - Parameter maximumPixels: a header that announces more is refused before memory is taken for it.
    package static func decode(
        _ data: Span<UInt8>,
        maximumPixels: Int = JPEGDecoder.maximumPixels
    ) throws(PictureError) -> CameraFrame {
        try unsafe data.withUnsafeBufferPointer { bytes throws(PictureError) in
            var image = try unsafe begin(bytes)
            defer { unsafe png_image_free(&image) }
            let header = unsafe header(image)
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
            unsafe image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
            // What is transparent shows black.
            var decoded = [UInt8](repeating: 0, count: pixels * 3)
            let isRead = unsafe decoded.withUnsafeMutableBytes { buffer in
                unsafe png_image_finish_read(&image, nil, buffer.baseAddress, 0, nil) != 0
            }
            guard isRead, let frame = CameraFrame(width: header.width, height: header.height, pixels: decoded) else {
                throw PictureError(
                    .damaged,
                    "The PNG of \(bytes.count) bytes is cut off or damaged: \(unsafe reason(image)). Send the whole file."
                )
            }
            return frame
        }
    }

    private static func begin(_ bytes: UnsafeBufferPointer<UInt8>) throws(PictureError) -> png_image {
        var image = unsafe png_image()
        unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
        guard unsafe png_image_begin_read_from_memory(&image, bytes.baseAddress, bytes.count) != 0 else {
            defer { unsafe png_image_free(&image) }
            throw PictureError(.notPNG, "The \(bytes.count) bytes are no PNG file: \(unsafe reason(image)).")
        }
        return unsafe image
    }

    private static func header(_ image: png_image) -> Header {
        let format = unsafe image.format
        return Header(
            width: unsafe Int(image.width),
            height: unsafe Int(image.height),
            isGrey: format & png_uint_32(PNG_FORMAT_FLAG_COLOR) == 0,
            isDeep: format & png_uint_32(PNG_FORMAT_FLAG_LINEAR) != 0
        )
    }

    /// What the library says of the failure.
    private static func reason(_ image: png_image) -> String {
        unsafe withUnsafeBytes(of: image.message) { bytes in
            let text = unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            return text.isEmpty ? "no reason given" : text
        }
    }
}
