import GrootCore
import HTTP2
import NIOCore
import Synchronization

/// What a request holds in memory, and what is counted and logged of it.
extension ProxyRequest {
    func hold(_ part: ByteBuffer) {
        let before = body.heldBytes
        if body.isRepeatable {
            let total = shared.heldBytes.load(ordering: .relaxed) + part.readableBytes
            if total > pool.configuration.heldBytesLimit {
                shared.metrics.notHeld.increment()
                if attempt == nil {
                    // It waits: without its body there is nothing to send later.
                    answer(GRPCStatus(.resourceExhausted, "the gateway holds too many request bytes (held-bytes)"))
                    return
                }
                releaseBody()
            }
        }
        body.append(part, limit: pool.configuration.bodyLimit)
        note(held: body.heldBytes - min(before, body.heldBytes))
    }

    func releaseBody() {
        let held = body.heldBytes
        body.release()
        note(held: -held)
    }

    private func note(held bytes: Int) {
        guard bytes != 0 else { return }
        let total = shared.heldBytes.add(bytes, ordering: .relaxed).newValue
        shared.metrics.heldBytes.set(Double(total))
    }

    func count(_ head: RequestHead) {
        guard head.route == .inference(method: "Infer") else { return }
        let instruments = shared.metrics.robotClass(head.robotClass)
        instruments.requests.increment()
        if head.runway == .zero { instruments.dry.increment() }
        robotClass = instruments
    }

    func log(_ took: Duration, _ closure: HTTP2StreamClosure) {
        let status = finalStatus?.code ?? 1
        guard shared.accessLog.admits(status: status, at: startedAt + took) else { return }
        shared.accessLog.write(
            AccessLog.Entry(
                requestID: head?.requestID,
                robot: head?.robot,
                checkpoint: head?.checkpoint,
                worker: answeredBy,
                traceparent: head?.traceparent,
                status: status,
                message: finalStatus?.message ?? (finalStatus == nil ? "\(closure.cause), \(closure.code)" : nil),
                attempts: attempts,
                waited: waited,
                took: took,
                runway: head?.runway,
                bytesIn: body.byteCount,
                bytesOut: bytesOut
            )
        )
    }
}
