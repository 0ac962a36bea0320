/// The column and parameter types that our queries use.
///
/// The raw value is the server's type OID.
package enum PostgresType: UInt32, Sendable {
    case bool = 16
    case bytea = 17
    case bigint = 20
    case integer = 23
    case text = 25
    case double = 701
    case date = 1082
    case timestamptz = 1184
    case interval = 1186
    case numeric = 1700
    case uuid = 2950
    case jsonb = 3802
    case int8multirange = 4536
}

/// A parameter.
///
/// Its server type is declared by the query; `text` also carries uuid, jsonb, ranges and intervals.
package enum PostgresValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case text(String)

    package static func optional(_ value: String?) -> PostgresValue { value.map { .text($0) } ?? .null }
    package static func optional(_ value: Int64?) -> PostgresValue { value.map { .integer($0) } ?? .null }

    /// The server's text format, nil for NULL.
    var encoded: String? {
        switch self {
        case .null: nil
        case .bool(let value): value ? "t" : "f"
        case .integer(let value): String(value)
        case .text(let value): value
        }
    }
}

/// A named and typed column of a result.
package struct PostgresColumn: Hashable, Sendable {
    package var name: String
    package var type: PostgresType

    package init(_ name: String, _ type: PostgresType) {
        self.name = name
        self.type = type
    }
}

/// One row of a result, in the server's text format.
package struct PostgresRow: Sendable {
    let query: String
    package let values: [String?]

    package func optionalText(_ index: Int) -> String? { values[index] }

    package func text(_ index: Int) throws(StoreError) -> String {
        guard let value = values[index] else { throw unreadable(index, "a text") }
        return value
    }

    package func integer(_ index: Int) throws(StoreError) -> Int64 {
        guard let value = values[index], let number = Int64(value) else { throw unreadable(index, "an integer") }
        return number
    }

    package func bool(_ index: Int) throws(StoreError) -> Bool {
        switch values[index] {
        case "t": return true
        case "f": return false
        default: throw unreadable(index, "a boolean")
        }
    }

    private func unreadable(_ index: Int, _ expected: String) -> StoreError {
        StoreError(.rejected, "query \(query): column \(index) is no \(expected): \(values[index] ?? "NULL")")
    }
}

/// What a statement produced.
package struct PostgresResult: Sendable {
    package var columns: [String]
    package var rows: [PostgresRow]
    /// Rows inserted, updated, deleted or copied.
    package var affectedRows: Int
}

/// What the server infers about a statement: type OIDs of parameters, names and type OIDs of columns.
package struct PostgresStatementShape: Sendable, Equatable {
    package struct Column: Sendable, Equatable {
        package var name: String
        package var type: UInt32

        package init(name: String, type: UInt32) {
            self.name = name
            self.type = type
        }
    }

    package var parameters: [UInt32]
    package var columns: [Column]

    package init(parameters: [UInt32], columns: [Column]) {
        self.parameters = parameters
        self.columns = columns
    }
}
