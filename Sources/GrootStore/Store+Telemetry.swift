import Foundation

/// What of one start of an agent is committed.
struct TelemetryLedger: Sendable {
    var records: SequenceRanges
    var thumbnails: SequenceRanges
}

/// What maintenance did to one partition.
struct PartitionChange: Sendable {
    var partition: String
    /// `created` or `dropped`.
    var change: String
}

extension Store {
    /// Commits a report in one transaction; records that are already there are left out.
    ///
    /// - Returns: how many records were new.
    /// - Throws: `invalidValue` when a sequence appears twice in the report.
    @discardableResult
    package func insertTelemetry(_ batch: TelemetryBatch) async throws(StoreError) -> Int {
        guard !batch.isEmpty else { return 0 }
        let records = try SequenceRanges(batch.recordSequences)
        let thumbnails = try SequenceRanges(batch.thumbnails.sequences)
        let inserted: [Int]
        do throws(StoreError) {
            inserted = try await commit(batch, records: records, thumbnails: thumbnails)
        } catch  where error.sqlState == "23514" && error.code == .unavailable {
            // Maintenance attached a partition in between; it does that once a day and table.
            inserted = try await commit(batch, records: records, thumbnails: thumbnails)
        }
        count(batch, inserted: inserted)
        return inserted.reduce(0, +)
    }

    /// - Returns: how many records were new, by table.
    private func commit(
        _ batch: TelemetryBatch,
        records: SequenceRanges,
        thumbnails: SequenceRanges
    ) async throws(StoreError) -> [Int] {
        try await withConnection("insert_telemetry") { (connection) throws(StoreError) -> [Int] in
            try connection.transaction { (connection) throws(StoreError) -> [Int] in
                let known = try Self.lock(batch, on: connection)
                let (records, thumbnails) = (
                    bounded(records, beside: known.records), bounded(thumbnails, beside: known.thumbnails)
                )
                var inserted: [Int] = []
                for rows in batch.tables {
                    let known = rows.table == .thumbnails ? known.thumbnails : known.records
                    guard let stream = rows.stream(leavingOut: known) else {
                        inserted.append(0)
                        continue
                    }
                    _ = try connection.copyIn(rows.table.copy, name: "copy_\(rows.table.rawValue)", data: stream.data)
                    inserted.append(stream.rows)
                }
                if let answers = try Self.answers(in: batch, leavingOut: known.records) {
                    try connection.run(Queries.addEpisodeCheckpoints, [.text(batch.robot), .text(answers)])
                }
                try connection.run(
                    Queries.commitTelemetry,
                    [
                        .text(batch.robot), .text(batch.boot), .text(records.multirange),
                        .integer(batch.drops.inferences), .integer(batch.drops.controlSamples),
                        .integer(batch.drops.events), .integer(batch.drops.damaged), .integer(batch.drops.refused),
                        .integer(batch.drops.episodes), .text(thumbnails.multirange),
                        .integer(batch.drops.thumbnails),
                    ]
                )
                return inserted
            }
        }
    }

    /// A ledger with thousands of gaps would make every report of the boot dear: the oldest are closed.
    private func bounded(_ new: SequenceRanges, beside known: SequenceRanges) -> SequenceRanges {
        guard known.ranges.count + new.ranges.count > Self.ledgerRanges,
            let closing = known.union(new).closing(toFit: Self.ledgerRanges)
        else { return new }
        countClosedGaps()
        return new.union(SequenceRanges(closing))
    }

    /// Most ranges of sequences that the ledger keeps for one start of an agent.
    package static let ledgerRanges = 1024

    /// What answered how many of the records that are new, as JSON; nil when nothing did.
    private static func answers(
        in batch: TelemetryBatch,
        leavingOut known: SequenceRanges
    ) throws(StoreError) -> String? {
        struct Answer: Encodable {
            var episodeID: String
            var checkpointSHA256: String
            var checkpoint: String
            var chunks: Int

            /// As the query names them.
            private enum CodingKeys: String, CodingKey {
                case episodeID = "episode_id"
                case checkpointSHA256 = "checkpoint_sha256"
                case checkpoint
                case chunks
            }
        }
        let answers = batch.answers.compactMap { answer, sequences -> Answer? in
            let count = sequences.count { !known.contains($0) }
            guard count > 0 else { return nil }
            return Answer(
                episodeID: answer.episode.uuidString,
                checkpointSHA256: answer.checkpointSHA256,
                checkpoint: answer.checkpoint,
                chunks: count
            )
        }
        guard !answers.isEmpty else { return nil }
        do {
            return String(decoding: try JSONEncoder().encode(answers), as: UTF8.self)
        } catch {
            throw StoreError(.invalidValue, "what answered cannot be written as JSON", cause: error)
        }
    }

    /// Keeps other reports of the same boot out until the commit and says what is there already.
    private static func lock(
        _ batch: TelemetryBatch,
        on connection: PostgresConnection
    ) throws(StoreError) -> TelemetryLedger {
        let key: [PostgresValue] = [.text(batch.robot), .text(batch.boot)]
        if let committed = try connection.fetch(Queries.lockTelemetryBoot, key).first {
            return committed
        }
        try connection.run(Queries.ensureTelemetryBoot, key)
        guard let committed = try connection.fetch(Queries.lockTelemetryBoot, key).first else {
            throw StoreError(.rejected, "the ledger row of \(batch.robot) \(batch.boot) cannot be made")
        }
        return committed
    }

    /// Creates partitions that will be needed and drops those that retention lets go.
    ///
    /// - Returns: one line per change.
    @discardableResult
    package func maintainPartitions() async throws(StoreError) -> [String] {
        let changes = try await withConnection("maintain_partitions") { (connection) throws(StoreError) in
            try connection.fetch(Queries.maintainPartitions)
        }
        count(changes)
        return changes.map { "\($0.partition) \($0.change)" }
    }
}
