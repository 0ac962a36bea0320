extension Queries {
    /// robot, boot: which records are there; locks the row until the end of the transaction.
    static let lockTelemetryBoot = Query(
        "lock_telemetry_boot",
        parameters: [.text, .text],
        columns: [PostgresColumn("committed", .text), PostgresColumn("committed_thumbnails", .text)],
        sql: """
            SELECT committed::text AS committed, committed_thumbnails::text AS committed_thumbnails
            FROM telemetry_boots WHERE robot = $1 AND boot = $2 FOR UPDATE
            """
    ) { (row) throws(StoreError) in
        TelemetryLedger(
            records: try SequenceRanges(multirange: try row.text(0)),
            thumbnails: try SequenceRanges(multirange: try row.text(1))
        )
    }

    /// robot, boot.
    static let ensureTelemetryBoot = Query(
        "ensure_telemetry_boot",
        parameters: [.text, .text],
        sql: "INSERT INTO telemetry_boots (robot, boot) VALUES ($1, $2) ON CONFLICT (robot, boot) DO NOTHING"
    )

    /// robot, boot, new sequences, what was given up since the start of the agent; the same of thumbnails.
    ///
    /// Old reports may come late, so the largest counts stay.
    static let commitTelemetry = Query(
        "commit_telemetry",
        parameters: [
            .text, .text, .int8multirange, .bigint, .bigint, .bigint, .bigint, .bigint, .bigint, .int8multirange,
            .bigint,
        ],
        sql: """
            UPDATE telemetry_boots SET
                committed = committed + $3,
                dropped_inferences = greatest(dropped_inferences, $4),
                dropped_control_samples = greatest(dropped_control_samples, $5),
                dropped_events = greatest(dropped_events, $6),
                damaged_records = greatest(damaged_records, $7),
                refused_records = greatest(refused_records, $8),
                dropped_episodes = greatest(dropped_episodes, $9),
                committed_thumbnails = committed_thumbnails + $10,
                dropped_thumbnails = greatest(dropped_thumbnails, $11),
                last_received_at = now()
            WHERE robot = $1 AND boot = $2
            """
    )

    static let maintainPartitions = Query(
        "maintain_partitions",
        columns: [PostgresColumn("partition", .text), PostgresColumn("change", .text)],
        sql: "SELECT partition, change FROM maintain_partitions()"
    ) { (row) throws(StoreError) in PartitionChange(partition: try row.text(0), change: try row.text(1)) }
}
