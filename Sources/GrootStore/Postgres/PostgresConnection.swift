import CPostgres
import Glibc
import GrootCore

/// One connection: owns its `PGconn` and finishes it in `deinit`.
///
/// Blocks the calling thread, so it lives inside a `PostgresSession` (a `DedicatedThread`). libpq is used without
/// blocking and every wait has a deadline: a stopped server costs `timeout`, not a thread for ever. After a
/// connection error or a missed deadline the connection is broken and good for nothing but `deinit`.
@safe package final class PostgresConnection {
    private let handle: OpaquePointer
    private let timeout: Duration
    private var missedDeadline = false

    /// Connects.
    ///
    /// - Parameter conninfo: a `postgres://` URL or libpq's `key=value` text.
    /// - Parameter timeout: for connecting (whole seconds, at least 2) and for every statement.
    /// - Parameter writing: only a server that takes writes will do; of several hosts, the one that does.
    /// - Throws: `unavailable`, or `readOnly` when no server takes writes.
    package init(conninfo: String, timeout: Duration, writing: Bool = false) throws(StoreError) {
        let seconds = max(2, Int(timeout.seconds.rounded(.up)))
        var keywords = ["dbname", "fallback_application_name", "connect_timeout", "client_encoding"]
        var values = [conninfo, "groot-gateway", String(seconds), "UTF8"]
        if writing {
            keywords.append("target_session_attrs")
            values.append("read-write")
        }
        let opened = unsafe try withCStrings(keywords) { (keywords) throws(StoreError) -> OpaquePointer? in
            unsafe try withCStrings(values) { (values) throws(StoreError) -> OpaquePointer? in
                unsafe PQconnectdbParams(keywords, values, 1)
            }
        }
        guard let handle = unsafe opened else { throw StoreError(.unavailable, "out of memory for a connection") }
        unsafe self.handle = unsafe handle
        self.timeout = timeout
        guard unsafe PQstatus(handle) == CONNECTION_OK else {
            // libpq has no SQLSTATE for a failed connection; everything a wait may cure stays `unavailable`.
            let message = lastMessage
            let isReadOnly = message.contains("session is read-only")
            throw StoreError(
                isReadOnly ? .readOnly : .unavailable,
                isReadOnly
                    ? "the server takes no writes (a standby, or after a failover): \(message)"
                    : "no connection to the database: \(message)"
            )
        }
        unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
        guard unsafe PQsetnonblocking(handle, 1) == 0 else { throw StoreError(.unavailable, lastMessage) }
        // What a server, database or login sets otherwise would change what our statements mean and answers look like.
        try executeScript("SET standard_conforming_strings = on; SET DateStyle = ISO; SET IntervalStyle = postgres")
    }

    deinit {
        unsafe PQfinish(handle)
    }

    /// True when the connection cannot be used any more.
    package var isBroken: Bool {
        unsafe missedDeadline || PQstatus(handle) != CONNECTION_OK
    }

    /// Process id of the server process behind this connection.
    package var serverProcess: Int32 {
        unsafe PQbackendPID(handle)
    }

    /// Runs one statement with parameters.
    package func execute(
        _ sql: String,
        name: String = "unnamed",
        types: [PostgresType] = [],
        values: [PostgresValue] = []
    ) throws(StoreError) -> PostgresResult {
        guard types.count == values.count else {
            throw StoreError(.rejected, "query \(name): \(types.count) parameters declared, \(values.count) given")
        }
        let oids = types.map(\.rawValue)
        let sent = unsafe try withCStrings(values.map(\.encoded)) { (pointers) throws(StoreError) -> Int32 in
            unsafe PQsendQueryParams(handle, sql, Int32(values.count), oids, pointers, nil, nil, 0)
        }
        return try answer(sent: sent, name: name)
    }

    /// Runs several statements separated by semicolons, without parameters.
    package func executeScript(_ sql: String) throws(StoreError) {
        _ = unsafe try answer(sent: PQsendQuery(handle, sql), name: "script")
    }

    /// Runs `COPY … FROM STDIN` and streams `data` (COPY text format) into it.
    ///
    /// - Returns: rows copied.
    package func copyIn(_ sql: String, name: String, data: [UInt8]) throws(StoreError) -> Int {
        let deadline = MonotonicInstant.now() + timeout
        guard unsafe PQsendQuery(handle, sql) == 1 else { throw failure() }
        try flush(until: deadline)
        try waitForResult(until: deadline)
        guard let opened = unsafe PQgetResult(handle) else { throw failure() }
        let status = unsafe PQresultStatus(opened)
        let refusal = unsafe status == PGRES_COPY_IN ? nil : error(of: opened, name: name)
        unsafe PQclear(opened)
        if let refusal {
            try drain(until: deadline)
            throw refusal
        }
        var offset = 0
        while offset < data.count {
            let end = min(offset + Self.copyPieceBytes, data.count)
            var queued: Int32 = 0
            repeat {
                queued = unsafe data[offset..<end].withUnsafeBytes { bytes in
                    unsafe PQputCopyData(
                        handle,
                        bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                        Int32(bytes.count)
                    )
                }
                guard queued >= 0 else { throw failure() }
                try flush(until: deadline)
            } while queued == 0
            offset = end
        }
        var ended: Int32 = 0
        repeat {
            ended = unsafe PQputCopyEnd(handle, nil)
            guard ended >= 0 else { throw failure() }
            try flush(until: deadline)
        } while ended == 0
        return try collect(name: name, until: deadline).affectedRows
    }

    /// Lets the server parse a statement and says what it inferred.
    package func describe(_ sql: String) throws(StoreError) -> PostgresStatementShape {
        let deadline = MonotonicInstant.now() + timeout
        guard unsafe PQsendPrepare(handle, "", sql, 0, nil) == 1 else { throw failure() }
        try flush(until: deadline)
        _ = try collect(name: "prepare", until: deadline)
        guard unsafe PQsendDescribePrepared(handle, "") == 1 else { throw failure() }
        try flush(until: deadline)
        try waitForResult(until: deadline)
        guard let result = unsafe PQgetResult(handle) else { throw failure() }
        defer { unsafe PQclear(result) }
        let refusal = unsafe error(of: result, name: "describe")
        let shape = PostgresStatementShape(
            parameters: (0..<(unsafe PQnparams(result))).map { unsafe PQparamtype(result, $0) },
            columns: (0..<(unsafe PQnfields(result))).map { column in
                PostgresStatementShape.Column(
                    name: unsafe String(cString: PQfname(result, column)),
                    type: unsafe PQftype(result, column)
                )
            }
        )
        try drain(until: deadline)
        if let refusal { throw refusal }
        return shape
    }

    /// Pieces that COPY data is handed to libpq in.
    private static let copyPieceBytes = 64 * 1024
}

extension PostgresConnection {
    private var lastMessage: String {
        unsafe Self.tidy(PQerrorMessage(handle).map { unsafe String(cString: $0) } ?? "")
    }

    private static func tidy(_ message: String) -> String {
        message.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private func failure() -> StoreError {
        StoreError(.unavailable, "the connection to the database was lost: \(lastMessage)")
    }

    private func answer(sent: Int32, name: String) throws(StoreError) -> PostgresResult {
        guard sent == 1 else { throw failure() }
        let deadline = MonotonicInstant.now() + timeout
        try flush(until: deadline)
        return try collect(name: name, until: deadline)
    }

    /// Reads results until there is none left; keeps the last, or the first error.
    private func collect(name: String, until deadline: MonotonicInstant) throws(StoreError) -> PostgresResult {
        var last = PostgresResult(columns: [], rows: [], affectedRows: 0)
        var refusal: StoreError?
        while true {
            try waitForResult(until: deadline)
            guard let result = unsafe PQgetResult(handle) else { break }
            defer { unsafe PQclear(result) }
            if let error = unsafe error(of: result, name: name) {
                refusal = refusal ?? error
                // A lost connection yields the same error result for ever.
                if isBroken { break }
            } else {
                last = unsafe read(result, name: name)
            }
        }
        if let refusal { throw refusal }
        return last
    }

    private func drain(until deadline: MonotonicInstant) throws(StoreError) {
        while true {
            try waitForResult(until: deadline)
            guard let result = unsafe PQgetResult(handle) else { return }
            unsafe PQclear(result)
            if isBroken { throw failure() }
        }
    }

    private func error(of result: OpaquePointer, name: String) -> StoreError? {
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
            return nil
        default:
            func field(_ code: UnicodeScalar) -> String? {
                unsafe PQresultErrorField(result, Int32(code.value)).map { unsafe String(cString: $0) }
            }
            let message = unsafe Self.tidy(String(cString: PQresultErrorMessage(result)))
            return StoreError(sqlState: field("C"), constraint: field("n"), message: "query \(name): \(message)")
        }
    }

    private func read(_ result: OpaquePointer, name: String) -> PostgresResult {
        let columnCount = unsafe PQnfields(result)
        let columns = (0..<columnCount).map { unsafe String(cString: PQfname(result, $0)) }
        let rows = (0..<(unsafe PQntuples(result))).map { row in
            let values = (0..<columnCount).map { column -> String? in
                unsafe PQgetisnull(result, row, column) == 1
                    ? nil : String(cString: PQgetvalue(result, row, column))
            }
            return PostgresRow(query: name, values: values)
        }
        let affected = unsafe Int(String(cString: PQcmdTuples(result))) ?? 0
        return PostgresResult(columns: columns, rows: rows, affectedRows: affected)
    }

    private func flush(until deadline: MonotonicInstant) throws(StoreError) {
        while true {
            switch unsafe PQflush(handle) {
            case 0: return
            case 1:
                let events = try wait(for: Int16(POLLIN | POLLOUT), until: deadline)
                if events & Int16(POLLIN) != 0, unsafe PQconsumeInput(handle) == 0 { throw failure() }
            default: throw failure()
            }
        }
    }

    private func waitForResult(until deadline: MonotonicInstant) throws(StoreError) {
        while unsafe PQisBusy(handle) == 1 {
            _ = try wait(for: Int16(POLLIN), until: deadline)
            guard unsafe PQconsumeInput(handle) == 1 else { throw failure() }
        }
    }

    private func wait(for events: Int16, until deadline: MonotonicInstant) throws(StoreError) -> Int16 {
        while true {
            let left = MonotonicInstant.now().duration(to: deadline)
            guard left > .zero else {
                missedDeadline = true
                throw StoreError(.timedOut, "the database did not answer within \(timeout.seconds) s")
            }
            var descriptor = pollfd(fd: unsafe PQsocket(handle), events: events, revents: 0)
            let ready = unsafe poll(&descriptor, 1, Int32(min(left.milliseconds.rounded(.up), 60_000)))
            if ready > 0 { return descriptor.revents }
            if ready < 0, errno != EINTR { throw failure() }
        }
    }
}
