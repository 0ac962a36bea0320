import NIOCore

/// A request body: kept (ref-counted, not copied) until the request is answered, so that it goes to a worker when it is
/// complete, and to another one without a second upload. Pure bookkeeping.
struct HeldBody: Sendable {
    private(set) var parts: [ByteBuffer] = []
    private(set) var frame = MessageFrame()
    private(set) var isHeld = true

    var byteCount: Int { frame.byteCount }
    /// Bytes that are held in memory now.
    var heldBytes: Int { isHeld ? byteCount : 0 }
    /// The body is larger than this, or says that it will be.
    func exceeds(_ limit: Int) -> Bool { max(byteCount, frame.announcedBytes ?? 0) > limit }

    mutating func append(_ part: ByteBuffer) {
        guard isHeld else { return }
        frame.append(part)
        parts.append(part)
    }

    /// Nobody will need it any more.
    mutating func release() {
        isHeld = false
        parts = []
    }
}
