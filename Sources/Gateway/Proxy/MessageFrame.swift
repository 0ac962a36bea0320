import NIOCore

/// Whether a body is exactly one message in gRPC's frame: a flag, the length, so many bytes. Pure.
///
/// Only the five bytes of the frame are read; a body is never decoded.
struct MessageFrame: Sendable {
    static let prefixBytes = 5

    private var prefix: UInt64 = 0
    private var prefixCount = 0
    private(set) var byteCount = 0

    /// Bytes of the whole body, as the frame says; nil until that has come.
    var announcedBytes: Int? {
        prefixCount == Self.prefixBytes ? Self.prefixBytes + Int(prefix & 0xFFFF_FFFF) : nil
    }

    mutating func append(_ part: ByteBuffer) {
        byteCount += part.readableBytes
        guard prefixCount < Self.prefixBytes else { return }
        for byte in part.readableBytesView.prefix(Self.prefixBytes - prefixCount) {
            prefix = prefix << 8 | UInt64(byte)
            prefixCount += 1
        }
    }

    /// What is wrong with the body when nothing follows; nil when it is one uncompressed message.
    var problem: String? {
        guard let announcedBytes else {
            return byteCount == 0
                ? "the body is empty: a message is expected, with five bytes of gRPC's frame before it"
                : "the body ends after \(byteCount) bytes, within gRPC's frame"
        }
        if prefix >> 32 != 0 { return "the message is compressed; only identity is understood" }
        if byteCount < announcedBytes {
            return "the body ends after \(byteCount) bytes of the \(announcedBytes) that its frame announces"
        }
        if byteCount > announcedBytes { return "the body holds more than one message" }
        return nil
    }
}
