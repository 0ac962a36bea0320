import Glibc
import NIOCore

/// Frames on their way to the socket, in order: what the session serialised lies together in one buffer, bodies stay
/// where they are. Pure bookkeeping.
///
/// One buffer for the headers of many frames: each would otherwise be an allocation of its own for nine bytes.
@safe
struct OutboundFrames {
    private struct Body {
        /// Serialised bytes that go before it.
        let offset: Int
        let bytes: ByteBuffer
    }

    private var serialised = ByteBuffer()
    private var bodies: [Body] = []
    private var bodyBytes = 0
    /// Reused from call to call; empty in between.
    private var vectors: [iovec] = unsafe []

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

    /// Shows everything as the vectors of one gathered write, valid during the call.
    mutating func withVectors<Result>(_ write: (UnsafeMutableBufferPointer<iovec>) -> Result) -> Result {
        // SAFETY: the pointers lead into storage that `serialised` and `bodies` own and that nothing changes before the
        // call returns.
        defer { unsafe vectors.removeAll(keepingCapacity: true) }
        unsafe serialised.withUnsafeReadableBytes { serialised in
            var passed = 0
            func addSerialised(to end: Int) {
                guard end > passed, let base = serialised.baseAddress else { return }
                let start = unsafe UnsafeMutableRawPointer(mutating: base + passed)
                unsafe vectors.append(iovec(iov_base: start, iov_len: end - passed))
                passed = end
            }
            for body in bodies {
                addSerialised(to: body.offset)
                unsafe body.bytes.withUnsafeReadableBytes { bytes in
                    let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
                    unsafe vectors.append(iovec(iov_base: base, iov_len: bytes.count))
                }
            }
            addSerialised(to: serialised.count)
        }
        return unsafe vectors.withUnsafeMutableBufferPointer { unsafe write($0) }
    }

    /// Forgets everything.
    mutating func removeAll() {
        serialised.clear()
        bodies.removeAll(keepingCapacity: true)
        bodyBytes = 0
    }

    /// Hands over everything but the first bytes, which have gone another way, and is empty afterwards.
    mutating func drain(skipping gone: Int = 0, _ write: (ByteBuffer) -> Void) {
        var left = gone
        func pass(_ bytes: ByteBuffer) {
            var bytes = bytes
            let skipped = min(left, bytes.readableBytes)
            left -= skipped
            bytes.moveReaderIndex(forwardBy: skipped)
            if bytes.readableBytes > 0 { write(bytes) }
        }
        var rest = serialised
        serialised = ByteBuffer()
        var passed = 0
        for body in bodies {
            if let head = rest.readSlice(length: body.offset - passed) { pass(head) }
            passed = body.offset
            pass(body.bytes)
        }
        pass(rest)
        bodies.removeAll(keepingCapacity: true)
        bodyBytes = 0
    }
}
