extension PostgresConnection {
    /// Runs `body` in a transaction: commits when it returns, rolls back when it throws.
    ///
    /// When this returns, the server has confirmed the commit.
    package func transaction<Result>(
        _ body: (PostgresConnection) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        _ = try execute("BEGIN", name: "begin")
        let result: Result
        do {
            result = try body(self)
        } catch {
            // A failed rollback means a broken connection, which ends the transaction as well; the first error counts.
            if !isBroken { _ = try? execute("ROLLBACK", name: "rollback") }
            throw error
        }
        _ = try execute("COMMIT", name: "commit")
        return result
    }

    /// Runs a named query and decodes its rows.
    package func fetch<Row>(_ query: Query<Row>, _ values: [PostgresValue] = []) throws(StoreError) -> [Row] {
        let result = try execute(query.sql, name: query.name, types: query.parameters, values: values)
        var rows: [Row] = []
        for row in result.rows { rows.append(try query.decode(row)) }
        return rows
    }

    /// Runs a named query for its effect.
    ///
    /// - Returns: rows inserted, updated or deleted.
    @discardableResult
    package func run<Row>(_ query: Query<Row>, _ values: [PostgresValue] = []) throws(StoreError) -> Int {
        try execute(query.sql, name: query.name, types: query.parameters, values: values).affectedRows
    }
}
