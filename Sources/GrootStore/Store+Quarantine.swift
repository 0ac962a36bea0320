extension Store {
    /// Keeps records that cannot be stored as what they are; one that is there already is kept once.
    ///
    /// - Returns: how many were new.
    /// - Throws: `conflict` when a robot has as many in quarantine as `quarantineLimit` allows, or all robots together have
    ///   `quarantineShares` times as many; nothing is kept then.
    @discardableResult
    package func quarantine(
        _ records: [QuarantinedRecord],
        robot: String,
        boot: String
    ) async throws(StoreError) -> Int {
        guard !records.isEmpty else { return 0 }
        let limit = Int64(configuration.quarantineLimit)
        let kept = try await withConnection("quarantine") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                var kept = 0
                for record in records {
                    kept += try Self.keep(record, robot: robot, boot: boot, limit: limit, on: connection)
                }
                if kept > 0 {
                    let key: [PostgresValue] = [.text(robot), .text(boot)]
                    try connection.run(Queries.ensureTelemetryBoot, key)
                    try connection.run(Queries.countQuarantined, key + [.integer(Int64(kept))])
                }
                return kept
            }
        }
        countQuarantined(kept)
        return kept
    }

    /// So many times what one robot may have is the limit of all together.
    static let quarantineShares: Int64 = 100

    private static func keep(
        _ record: QuarantinedRecord,
        robot: String,
        boot: String,
        limit: Int64,
        on connection: PostgresConnection
    ) throws(StoreError) -> Int {
        guard record.record.count <= QuarantinedRecord.byteLimit else {
            throw StoreError(
                .conflict,
                "the record has \(record.record.count) bytes; quarantine takes \(QuarantinedRecord.byteLimit)"
            )
        }
        let outcome = try connection.fetch(
            Queries.quarantineRecord,
            [
                .text(robot), .text(boot), .text(record.kind), record.sequence.map { .text("\($0)") } ?? .null,
                .text(String(record.reason.prefix(QuarantinedRecord.reasonLimit))), .text(hex(record.record)),
                .integer(limit), .integer(limit * quarantineShares),
            ]
        ).first
        switch outcome {
        case "kept": return 1
        case "known": return 0
        default:
            throw StoreError(
                .conflict,
                "the quarantine of \(robot) is full (quarantine-limit); look at the table quarantine and empty it"
            )
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
