import GrootCore

/// The upload of one request: it has a deadline of its own, and a least rate after a grace of a second. Pure.
struct UploadWatch: Sendable, Equatable {
    private let since: MonotonicInstant
    private var byteCount = 0
    /// When to look at the latest.
    private(set) var lookAt: MonotonicInstant

    init(_ rules: RequestMachine.Rules, at now: MonotonicInstant) {
        since = now
        lookAt = now + min(.seconds(2), rules.uploadTimeout)
    }

    mutating func arrived(_ count: Int) { byteCount += count }

    /// Nil while it may go on.
    mutating func timePassed(_ rules: RequestMachine.Rules, at now: MonotonicInstant) -> GRPCStatus? {
        guard now >= lookAt else { return nil }
        let took = now - since
        if took >= rules.uploadTimeout {
            return GRPCStatus(
                .deadlineExceeded,
                "the request was not complete after \(Int64(took.milliseconds)) ms (upload-timeout-ms)"
            )
        }
        guard Double(byteCount) >= Double(rules.uploadRate) * (took.seconds - 1) else {
            return GRPCStatus(
                .deadlineExceeded,
                "\(byteCount) bytes of the request came in \(Int64(took.milliseconds)) ms: too slow (upload-rate)"
            )
        }
        lookAt = min(now + .seconds(1), max(now, since + rules.uploadTimeout))
        return nil
    }
}
