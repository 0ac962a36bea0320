import Synchronization

/// A fixed set of sessions; work goes to the least busy one.
///
/// Any thread. What is waiting is bounded: beyond `queueLimit` callers get `busy` at once.
final class PostgresPool: Sendable {
    private let sessions: [PostgresSession]
    private let gate = ReconnectGate()
    private let queueLimit: Int
    private let pending: Mutex<[Int]>

    /// - Parameter writing: only servers that take writes will do.
    init(conninfo: String, size: Int, queueLimit: Int, timeout: Duration, writing: Bool) {
        self.sessions = (0..<max(1, size)).map {
            PostgresSession(name: "groot.postgres.\($0)", conninfo: conninfo, timeout: timeout, writing: writing)
        }
        self.queueLimit = queueLimit
        self.pending = Mutex(Array(repeating: 0, count: max(1, size)))
    }

    /// Runs `body` with a connection; see `PostgresSession.run`.
    func run<Result: Sendable>(
        _ body: @Sendable (PostgresConnection) throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        let index = try take()
        defer { pending.withLock { $0[index] -= 1 } }
        return try await sessions[index].run(gate: gate, body)
    }

    /// Closes idle connections; the next `run` opens new ones.
    func close() async {
        for session in sessions { await session.close() }
    }

    private func take() throws(StoreError) -> Int {
        let limit = queueLimit
        let index = pending.withLock { pending -> Int? in
            guard pending.reduce(0, +) < limit else { return nil }
            let index = pending.indices.min { pending[$0] < pending[$1] } ?? 0
            pending[index] += 1
            return index
        }
        guard let index else {
            throw StoreError(.busy, "\(limit) statements are waiting for the database; try again later")
        }
        return index
    }
}
