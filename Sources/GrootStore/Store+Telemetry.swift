extension Store {
    /// Commits a report in one transaction; records that are already there are left out.
    ///
    /// - Returns: how many records were new.
    /// - Throws: `invalidValue` when a sequence appears twice in the report.
    @discardableResult
    package func insertTelemetry(_ batch: TelemetryBatch) async throws(StoreError) -> Int {
        guard !batch.isEmpty else { return 0 }
        let sequences = try SequenceRanges(batch.sequences)
        let inserted = try await withConnection("insert_telemetry") { (connection) throws(StoreError) -> [Int] in
            try connection.transaction { (connection) throws(StoreError) -> [Int] in
                let known = try Self.lock(batch, on: connection)
                var inserted: [Int] = []
                for rows in batch.tables {
                    guard let stream = rows.stream(leavingOut: known) else {
                        inserted.append(0)
                        continue
                    }
                    _ = try connection.copyIn(rows.table.copy, name: "copy_\(rows.table.rawValue)", data: stream.data)
                    inserted.append(stream.rows)
                }
                try connection.run(
                    Queries.commitTelemetry,
                    [
                        .text(batch.robot), .text(batch.boot), .text(sequences.multirange),
                        .integer(batch.drops.inferences), .integer(batch.drops.controlSamples),
                        .integer(batch.drops.events), .integer(batch.drops.damaged), .integer(batch.drops.refused),
                        .integer(batch.drops.episodes),
                    ]
                )
                return inserted
            }
        }
        count(batch, inserted: inserted)
        return inserted.reduce(0, +)
    }

    /// Keeps other reports of the same boot out until the commit and says what is there already.
    private static func lock(
        _ batch: TelemetryBatch,
        on connection: PostgresConnection
    ) throws(StoreError) -> SequenceRanges {
        let key: [PostgresValue] = [.text(batch.robot), .text(batch.boot)]
        if let committed = try connection.fetch(Queries.lockTelemetryBoot, key).first {
            return try SequenceRanges(multirange: committed)
        }
        try connection.run(Queries.ensureTelemetryBoot, key)
        guard let committed = try connection.fetch(Queries.lockTelemetryBoot, key).first else {
            throw StoreError(.rejected, "the ledger row of \(batch.robot) \(batch.boot) cannot be made")
        }
        return try SequenceRanges(multirange: committed)
    }

    /// Creates partitions that will be needed and drops those that retention lets go.
    ///
    /// - Returns: one line per change.
    @discardableResult
    package func maintainPartitions() async throws(StoreError) -> [String] {
        try await withConnection("maintain_partitions") { (connection) throws(StoreError) in
            try connection.fetch(Queries.maintainPartitions)
        }
    }
}
