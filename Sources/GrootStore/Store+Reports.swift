/// Rows for people and scripts.
package struct StoreReport: Sendable {
    package var columns: [PostgresColumn]
    package var rows: [PostgresRow]

    package init(columns: [PostgresColumn], rows: [PostgresRow]) {
        self.columns = columns
        self.rows = rows
    }
}

extension Store {
    /// Runs one of the report queries.
    package func report(
        _ query: Query<PostgresRow>,
        _ values: [PostgresValue] = []
    ) async throws(StoreError) -> StoreReport {
        let rows = try await withConnection("report") { (connection) throws(StoreError) in
            try connection.fetch(query, values)
        }
        return StoreReport(columns: query.columns, rows: rows)
    }

    /// Adds what people know about a checkpoint; nil leaves a field as it is.
    ///
    /// - Throws: `notFound` for an unknown digest.
    package func describeCheckpoint(
        sha256: String,
        path: String?,
        statisticsJSON: String?,
        parentSHA256: String?,
        notes: String?
    ) async throws(StoreError) {
        let found = try await withConnection("describe_checkpoint") { (connection) throws(StoreError) in
            try connection.fetch(
                Queries.describeCheckpoint,
                [.text(sha256), .optional(path), .optional(statisticsJSON), .optional(parentSHA256), .optional(notes)]
            )
        }
        guard !found.isEmpty else { throw StoreError(.notFound, "there is no checkpoint \(sha256)") }
    }

    /// Sets how many days a telemetry table is kept.
    ///
    /// - Throws: `notFound` for a table that has no retention.
    package func setRetention(table: String, days: Int32) async throws(StoreError) {
        let changed = try await withConnection("set_retention") { (connection) throws(StoreError) in
            try connection.run(Queries.setRetention, [.text(table), .integer(Int64(days))])
        }
        guard changed == 1 else {
            let names = TelemetryTable.allCases.map(\.rawValue).joined(separator: ", ")
            throw StoreError(.notFound, "\(table) has no retention; the tables are \(names)")
        }
    }
}
