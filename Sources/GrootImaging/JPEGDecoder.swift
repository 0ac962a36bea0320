import CTurboJPEG
package import GrootCore

/// Reads JPEG files into RGB frames.
///
/// Owns one handle of libjpeg-turbo, freed in `deinit`. Not sendable: one task uses it at a time. Making one costs
/// a few microseconds. Damaged files are errors, never half a picture: the library's warnings count as damage.
@safe
package final class JPEGDecoder {
    /// Width and height up to which a picture is read when the caller names no limit: four times 4K.
    package static let maximumPixels = 3840 * 2160 * 4

    package struct Header: Hashable, Sendable {
        package var width: Int
        package var height: Int
        package var isGrey: Bool

        package init(width: Int, height: Int, isGrey: Bool = false) {
            self.width = width
            self.height = height
            self.isGrey = isGrey
        }
    }

    private var handle: tjhandle

    package init() {
        guard let handle = unsafe tjInitDecompress() else { preconditionFailure("out of memory") }
        unsafe self.handle = handle
    }

    deinit {
        unsafe tjDestroy(handle)
    }

    /// The size of the picture, without decoding it.
    package func header(of data: Span<UInt8>) throws(PictureError) -> Header {
        try unsafe data.withUnsafeBufferPointer { bytes throws(PictureError) in try unsafe header(bytes) }
    }

    /// The whole picture.
    ///
    /// - Parameters:
    ///   - expected: what somebody announced; a header that says otherwise is refused before anything is decoded.
    ///   - maximumPixels: a header that announces more is refused before memory is taken for it.
    package func decode(
        _ data: Span<UInt8>,
        expecting expected: Header? = nil,
        maximumPixels: Int = maximumPixels
    ) throws(PictureError) -> CameraFrame {
        try unsafe data.withUnsafeBufferPointer { bytes throws(PictureError) in
            let header = try unsafe header(bytes)
            if let expected, (expected.width, expected.height) != (header.width, header.height) {
                throw PictureError(
                    .otherSize,
                    "It is a JPEG of \(header.width)x\(header.height), announced as \(expected.width)x\(expected.height)."
                )
            }
            let (pixels, overflow) = header.width.multipliedReportingOverflow(by: header.height)
            guard !overflow, pixels <= maximumPixels else {
                throw PictureError(
                    .tooLarge,
                    "The JPEG is \(header.width)x\(header.height), at most \(maximumPixels) pixels are read."
                )
            }
            var failed = false
            let decoded = unsafe [UInt8](unsafeUninitializedCapacity: pixels * 3) { buffer, count in
                let result = unsafe tjDecompress2(
                    handle,
                    bytes.baseAddress,
                    UInt(bytes.count),
                    buffer.baseAddress,
                    Int32(header.width),
                    0,
                    Int32(header.height),
                    Int32(TJPF_RGB.rawValue),
                    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS
                )
                failed = result != 0
                // A failed call leaves the buffer half written: nothing of it is kept.
                count = failed ? 0 : pixels * 3
            }
            guard !failed, let frame = CameraFrame(width: header.width, height: header.height, pixels: decoded) else {
                throw PictureError(
                    .damaged,
                    "The JPEG of \(bytes.count) bytes is cut off or damaged: \(failure()). Send the whole file."
                )
            }
            return frame
        }
    }

    private func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(PictureError) -> Header {
        var width: Int32 = 0
        var height: Int32 = 0
        var subsampling: Int32 = 0
        var colours: Int32 = 0
        let result = unsafe tjDecompressHeader3(
            handle,
            bytes.baseAddress,
            UInt(bytes.count),
            &width,
            &height,
            &subsampling,
            &colours
        )
        guard result == 0, width > 0, height > 0 else {
            throw PictureError(.notJPEG, "The \(bytes.count) bytes are no JPEG file: \(failure()).")
        }
        guard colours != TJCS_CMYK.rawValue, colours != TJCS_YCCK.rawValue else {
            throw PictureError(.notJPEG, "The JPEG is in CMYK; send RGB or grey.")
        }
        return Header(width: Int(width), height: Int(height), isGrey: colours == TJCS_GRAY.rawValue)
    }

    /// What the library says of the failure; the handle is replaced, since version 2.1 keeps what it read of a
    /// broken header and would trip over it in the next file.
    private func failure() -> String {
        let reason = unsafe tjGetErrorStr2(handle).map { unsafe String(cString: $0) } ?? "no reason given"
        unsafe tjDestroy(handle)
        guard let fresh = unsafe tjInitDecompress() else { preconditionFailure("out of memory") }
        unsafe handle = fresh
        return reason
    }
}
