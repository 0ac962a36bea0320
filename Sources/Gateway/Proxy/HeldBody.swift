import NIOCore

/// A request body as it passes: kept (ref-counted, not copied) until response headers arrive, so that a retry needs
/// no second upload. Pure bookkeeping.
struct HeldBody: Sendable {
    private var buffers: [ByteBuffer] = []
    private(set) var byteCount = 0
    /// The client has sent everything.
    private(set) var isComplete = false
    /// False once the body grew past the limit or was released: then there is nothing to repeat.
    private(set) var isRepeatable = true
    /// Bytes for which the client got credit back.
    private var credited = 0
    /// Bytes of the current attempt that have left.
    private var left = 0

    /// Bytes that are held in memory now.
    var heldBytes: Int { isRepeatable ? byteCount : 0 }
    /// What a new attempt sends first.
    var replay: [ByteBuffer] { buffers }
    /// Everything has been handed to the worker's socket.
    var isDelivered: Bool { isComplete && left >= byteCount }

    /// Keeps a part, unless that would exceed the limit.
    mutating func append(_ part: ByteBuffer, limit: Int) {
        byteCount += part.readableBytes
        guard isRepeatable else { return }
        if byteCount > limit {
            release()
        } else {
            buffers.append(part)
        }
    }

    mutating func complete() {
        isComplete = true
    }

    mutating func attemptStarted() {
        left = 0
    }

    /// Bytes left for the worker; returns how many of them the client has not been credited for yet.
    mutating func bytesLeft(_ count: Int) -> Int {
        left += count
        let fresh = max(0, left - credited)
        credited += fresh
        return fresh
    }

    /// Nobody will ask for a repetition any more.
    mutating func release() {
        isRepeatable = false
        buffers = []
    }
}
