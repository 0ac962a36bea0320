import NIOCore

/// Frames on their way to the socket, in order: what the session serialised lies together in one buffer, bodies stay
/// where they are. Pure bookkeeping.
///
/// One buffer for the headers of many frames: each would otherwise be an allocation of its own for nine bytes.
struct OutboundFrames {
    private struct Body {
        /// Serialised bytes that go before it.
        let offset: Int
        let bytes: ByteBuffer
    }

    private var serialised = ByteBuffer()
    private var bodies: [Body] = []
    private var bodyBytes = 0

    var byteCount: Int { serialised.readableBytes + bodyBytes }

    /// Copies what the library serialised.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        unsafe serialised.writeBytes(bytes)
    }

    /// Keeps a body, without copying it unless it is so small that a copy is cheaper than a write of its own.
    mutating func append(_ body: ByteBuffer, inlineSize: Int) {
        if body.readableBytes <= inlineSize {
            serialised.writeImmutableBuffer(body)
        } else {
            bodies.append(Body(offset: serialised.readableBytes, bytes: body))
            bodyBytes += body.readableBytes
        }
    }

    /// Hands over everything and is empty afterwards.
    mutating func drain(_ write: (ByteBuffer) -> Void) {
        var rest = serialised
        serialised = ByteBuffer()
        var passed = 0
        for body in bodies {
            if let head = rest.readSlice(length: body.offset - passed), head.readableBytes > 0 { write(head) }
            passed = body.offset
            write(body.bytes)
        }
        if rest.readableBytes > 0 { write(rest) }
        bodies.removeAll(keepingCapacity: true)
        bodyBytes = 0
    }
}
