import CTurboJPEG
package import GrootCore

/// Writes RGB frames as JPEG files.
///
/// Owns one handle of libjpeg-turbo and its output buffer, both freed in `deinit` and reused for every frame, so that
/// a camera's stream allocates nothing but the result. Not sendable: one task uses it at a time.
@safe
package final class JPEGEncoder {
    package enum Subsampling: Sendable {
        /// Colour at full resolution: coloured edges stay sharp.
        case none
        /// Colour at half resolution both ways: about a third fewer bytes.
        case half

        fileprivate var number: Int32 {
            switch self {
            case .none: Int32(TJSAMP_444.rawValue)
            case .half: Int32(TJSAMP_420.rawValue)
            }
        }
    }

    /// 1 (worst) to 100 (best).
    package let quality: Int
    package let subsampling: Subsampling

    private let handle: tjhandle
    private var buffer: UnsafeMutablePointer<UInt8>?
    private var lastSize: UInt = 0

    package init(quality: Int = 90, subsampling: Subsampling = .half) {
        precondition((1...100).contains(quality), "JPEG quality is 1 to 100")
        guard let handle = unsafe tjInitCompress() else { preconditionFailure("out of memory") }
        unsafe self.handle = handle
        self.quality = quality
        self.subsampling = subsampling
    }

    deinit {
        if let buffer = unsafe buffer { unsafe tjFree(buffer) }
        unsafe tjDestroy(handle)
    }

    package func encode(_ frame: CameraFrame) throws(PictureError) -> [UInt8] {
        // The library knows its own buffer again and grows it when it must; but a size of 0 would mean "no buffer".
        var size = max(1, lastSize)
        let result = unsafe frame.pixels.withUnsafeBufferPointer { pixels in
            unsafe tjCompress2(
                handle,
                pixels.baseAddress,
                Int32(frame.width),
                0,
                Int32(frame.height),
                Int32(TJPF_RGB.rawValue),
                &buffer,
                &size,
                subsampling.number,
                Int32(quality),
                TJFLAG_ACCURATEDCT
            )
        }
        lastSize = size
        guard result == 0, let buffer = unsafe buffer else {
            let reason = unsafe tjGetErrorStr2(handle).map { unsafe String(cString: $0) } ?? "no reason given"
            throw PictureError(.encodingFailed, "A frame of \(frame.width)x\(frame.height) was not encoded: \(reason).")
        }
        return unsafe [UInt8](UnsafeBufferPointer(start: buffer, count: Int(size)))
    }
}
