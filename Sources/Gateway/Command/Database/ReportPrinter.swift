import Foundation
import GrootStore

/// Turns rows into what people or scripts read.
///
/// Pure.
enum ReportPrinter {
    /// A table with aligned columns, numbers to the right; a line for no rows at all.
    static func table(_ report: StoreReport) -> String {
        guard !report.rows.isEmpty else { return "nothing found\n" }
        let cells = report.rows.map { row in row.values.map { shown($0) } }
        let widths = report.columns.indices.map { column in
            max(report.columns[column].name.count, cells.map { $0[column].count }.max() ?? 0)
        }
        func line(_ values: [String]) -> String {
            let padded = values.enumerated().map { column, value in
                let space = String(repeating: " ", count: widths[column] - value.count)
                return isNumber(report.columns[column].type) ? space + value : value + space
            }
            return padded.joined(separator: "  ").trimmingSuffix(" ") + "\n"
        }
        return line(report.columns.map(\.name)) + line(widths.map { String(repeating: "-", count: $0) })
            + cells.map(line).joined()
    }

    /// One line per column of one row.
    static func card(_ report: StoreReport) -> String {
        let width = report.columns.map(\.name.count).max() ?? 0
        return report.rows.map { row in
            zip(report.columns, row.values).map { column, value in
                let name = column.name + String(repeating: " ", count: width - column.name.count)
                return "\(name)  \(shown(value))\n"
            }.joined()
        }.joined(separator: "\n")
    }

    /// An array of objects, keys in the order of the columns.
    static func json(_ report: StoreReport) -> String {
        let rows = report.rows.map { row in
            let fields = zip(report.columns, row.values).map { column, value in
                "\(quoted(column.name)): \(json(value, column.type))"
            }
            return "  {\(fields.joined(separator: ", "))}"
        }
        return rows.isEmpty ? "[]\n" : "[\n\(rows.joined(separator: ",\n"))\n]\n"
    }

    private static func json(_ value: String?, _ type: PostgresType) -> String {
        guard let value else { return "null" }
        switch type {
        case .bigint, .integer, .numeric, .double: return Double(value)?.isFinite == true ? value : quoted(value)
        case .bool: return value == "t" ? "true" : "false"
        case .jsonb: return value
        case .text, .bytea, .timestamptz, .date, .interval, .uuid, .int8multirange: return quoted(value)
        }
    }

    private static func shown(_ value: String?) -> String {
        guard let value, !value.isEmpty else { return "-" }
        return value.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func isNumber(_ type: PostgresType) -> Bool {
        [.bigint, .integer, .numeric, .double].contains(type)
    }

    private static func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // A string always encodes.
        return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        var text = self[...]
        while text.last == character { text.removeLast() }
        return String(text)
    }
}

extension DatabaseOptions {
    /// Prints a list in the form that was asked for.
    func print(_ report: StoreReport) throws {
        let text = json ? ReportPrinter.json(report) : ReportPrinter.table(report)
        try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }

    /// Prints one thing in the form that was asked for.
    func printCard(_ report: StoreReport) throws {
        let text = json ? ReportPrinter.json(report) : ReportPrinter.card(report)
        try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }
}
