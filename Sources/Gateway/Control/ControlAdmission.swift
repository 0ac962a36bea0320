import GrootCore

/// How much of the control plane one identity may use.
struct ControlBudgets: Sendable, Equatable {
    /// Calls at a time (`control-calls`).
    var calls = 8
    /// Telemetry records and other calls per second, in the long run (`telemetry-rows`).
    var rowsPerSecond = 20_000
    /// Bytes of them per second, as they are stored (`telemetry-bytes`).
    var bytesPerSecond = 16 << 20
}

/// Who uses how much of the control plane, and who must wait.
///
/// Pure. Owned by `ControlGate`, behind its lock. Calls come in three kinds with room of their own, so that records that
/// wait for a slow database never keep a lease from being renewed, nor watches either.
struct ControlAdmission: Sendable {
    enum Kind: Sendable, CaseIterable {
        /// Answered from memory: leases of workers, health.
        case lease
        /// Runs for as long as the caller likes.
        case watch
        /// Waits for the database.
        case record

        init(_ call: ControlCall) {
            switch call {
            case .registerWorker, .check: self = .lease
            case .watch: self = .watch
            case .registerRobot, .startEpisode, .finishEpisode, .reportTelemetry, .assignRunConfig: self = .record
            }
        }

        /// Calls at a time, of all identities. Together they are fewer than the streams of one connection.
        var limit: Int {
            switch self {
            case .lease: 512
            case .watch: 64
            // As many as the store lets wait for its connections.
            case .record: 256
            }
        }
    }

    /// Why a call is not taken, as metrics name it.
    enum Limit: String, Sendable, CaseIterable {
        /// The identity has as many calls open as it may.
        case calls
        /// All identities together have.
        case total
        case rows
        case bytes
    }

    struct Refusal: Error, Equatable {
        var limit: Limit
        var message: String
    }

    private struct Share {
        var open = 0
        var rows: TokenBucket
        var bytes: TokenBucket
    }

    /// A bucket holds what may come at once after a pause: some seconds' worth, and the largest report at least.
    private static let burstSeconds = 5
    private let budgets: ControlBudgets
    private var open: [Kind: Int] = [:]
    private var shares: [String: Share] = [:]
    /// Shares are looked through for unused ones when there are so many.
    private var sweepAt = 256

    init(_ budgets: ControlBudgets) {
        self.budgets = budgets
    }

    /// - Parameter identity: nil when nobody said who calls; such calls share what is left of their kind.
    mutating func began(_ kind: Kind, by identity: String?, at now: MonotonicInstant) -> Refusal? {
        guard open[kind, default: 0] < kind.limit else {
            return Refusal(limit: .total, message: "\(kind.limit) calls of this kind are open already; try again later")
        }
        if let identity {
            sweep(at: now)
            guard shares[identity]?.open ?? 0 < budgets.calls else {
                return Refusal(
                    limit: .calls,
                    message: "\(identity) has \(budgets.calls) calls open already (control-calls); finish one first"
                )
            }
            var share = shares[identity] ?? newShare(at: now)
            share.open += 1
            shares[identity] = share
        }
        open[kind, default: 0] += 1
        return nil
    }

    mutating func ended(_ kind: Kind, by identity: String?) {
        open[kind, default: 0] -= 1
        if let identity { shares[identity]?.open -= 1 }
    }

    /// Something is to be stored for an identity.
    mutating func stores(rows: Int, bytes: Int, for identity: String, at now: MonotonicInstant) -> Refusal? {
        sweep(at: now)
        var share = shares[identity] ?? newShare(at: now)
        defer { shares[identity] = share }
        if let wait = share.rows.take(rows, at: now) {
            return Self.tooFast(.rows, identity, "\(budgets.rowsPerSecond) records", "telemetry-rows", wait)
        }
        if let wait = share.bytes.take(bytes, at: now) {
            return Self.tooFast(.bytes, identity, "\(budgets.bytesPerSecond) bytes", "telemetry-bytes", wait)
        }
        return nil
    }

    func openCalls(_ kind: Kind) -> Int { open[kind, default: 0] }
    var identities: Int { shares.count }

    private static func tooFast(
        _ limit: Limit,
        _ identity: String,
        _ what: String,
        _ key: String,
        _ wait: Duration
    ) -> Refusal {
        Refusal(
            limit: limit,
            message: "\(identity) sends more than \(what) per second (\(key)); try again in "
                + "\(Int(wait.milliseconds.rounded(.up))) ms"
        )
    }

    private func newShare(at now: MonotonicInstant) -> Share {
        Share(
            rows: TokenBucket(
                perSecond: budgets.rowsPerSecond,
                capacity: max(budgets.rowsPerSecond * Self.burstSeconds, FieldLimit.batchRecords),
                at: now
            ),
            bytes: TokenBucket(
                perSecond: budgets.bytesPerSecond,
                capacity: max(budgets.bytesPerSecond * Self.burstSeconds, FleetControlPlane.maxRequestBytes),
                at: now
            )
        )
    }

    /// Forgets identities that use nothing; names that come once cost nothing for long.
    private mutating func sweep(at now: MonotonicInstant) {
        guard shares.count >= sweepAt else { return }
        for (identity, share) in shares where share.open == 0 {
            var share = share
            if share.rows.isFull(at: now), share.bytes.isFull(at: now) { shares[identity] = nil }
        }
        sweepAt = max(256, shares.count * 2)
    }
}
