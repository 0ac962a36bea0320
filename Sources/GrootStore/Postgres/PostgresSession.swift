import GrootCore

/// One place in the pool: an actor on its own thread that owns at most one connection and opens it when needed.
actor PostgresSession {
    private nonisolated let thread: DedicatedThread
    private let conninfo: String
    private let timeout: Duration
    private let writing: Bool
    private var connection: PostgresConnection?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    init(name: String, conninfo: String, timeout: Duration, writing: Bool = false) {
        self.thread = DedicatedThread(name: name)
        self.conninfo = conninfo
        self.timeout = timeout
        self.writing = writing
    }

    /// Runs `body` with a connection on this session's thread.
    ///
    /// `body` runs a second time on a new connection when an idle connection turns out to be dead, or its server to take no
    /// writes any more (a failover), so it must be safe to repeat; everything in the store is.
    func run<Result: Sendable>(
        gate: ReconnectGate,
        _ body: @Sendable (PostgresConnection) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        if let connection, !connection.isBroken {
            do {
                return try body(connection)
            } catch {
                let hasChangedSides = writing && error.code == .readOnly
                guard connection.isBroken || hasChangedSides else { throw error }
                self.connection = nil
                guard error.code == .unavailable || hasChangedSides else { throw error }
            }
        }
        let fresh = try connect(gate: gate)
        connection = fresh
        defer { if fresh.isBroken { connection = nil } }
        do {
            return try body(fresh)
        } catch {
            if writing, error.code == .readOnly { connection = nil }
            throw error
        }
    }

    func close() {
        connection = nil
    }

    private func connect(gate: ReconnectGate) throws(StoreError) -> PostgresConnection {
        try gate.admit()
        do {
            let fresh = try PostgresConnection(conninfo: conninfo, timeout: timeout, writing: writing)
            gate.succeeded()
            return fresh
        } catch {
            gate.failed(error)
            throw error
        }
    }
}
