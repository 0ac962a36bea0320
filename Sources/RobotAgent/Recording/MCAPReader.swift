import Foundation

/// Reads the messages of an uncompressed MCAP file in file order, chunked or not.
///
/// Only what a recording of this agent needs; compressed chunks are refused by name.
struct MCAPReader: Sendable {
    struct Message: Sendable {
        var topic: String
        var type: String
        /// Nanoseconds since 1970.
        var time: UInt64
        var body: [UInt8]
    }

    private var schemas: [UInt16: String] = [:]
    private var channels: [UInt16: (topic: String, type: String)] = [:]

    private init() {}

    /// Calls `body` for every message.
    ///
    /// - Throws: `AgentError` for a file that is no MCAP or ends in the middle of a record (a crash's last chunk).
    static func messages(in file: URL, _ body: (Message) throws -> Void) throws {
        let data: Data
        do {
            data = try Data(contentsOf: file, options: .mappedIfSafe)
        } catch {
            throw AgentError(.badRecording, "the recording \(file.path) cannot be read", cause: error)
        }
        guard data.count >= 8, Array(data.prefix(8)) == MCAPWriter.magic else {
            throw AgentError(.badRecording, "\(file.path) is no MCAP file")
        }
        var reader = MCAPReader()
        try reader.records(Cursor(data[(data.startIndex + 8)...]), file, body)
    }

    private mutating func records(
        _ bytes: Cursor,
        _ file: URL,
        _ body: (Message) throws -> Void
    ) throws {
        var cursor = bytes
        while cursor.left >= 9 {
            let opcode: UInt8 = try cursor.integer()
            let length: UInt64 = try cursor.integer()
            var content = try cursor.slice(length)
            switch MCAPWriter.Opcode(rawValue: opcode) {
            case .schema:
                let id: UInt16 = try content.integer()
                schemas[id] = try content.text()
            case .channel:
                let id: UInt16 = try content.integer()
                let schema: UInt16 = try content.integer()
                channels[id] = (try content.text(), schemas[schema] ?? "")
            case .message:
                let id: UInt16 = try content.integer()
                _ = try content.integer() as UInt32
                let time: UInt64 = try content.integer()
                _ = try content.integer() as UInt64
                guard let channel = channels[id] else { continue }
                try body(Message(topic: channel.topic, type: channel.type, time: time, body: Array(content.rest)))
            case .chunk:
                _ = try content.slice(8 + 8 + 8 + 4)
                let compression = try content.text()
                guard compression.isEmpty else {
                    throw AgentError(
                        .badRecording,
                        "\(file.path) is compressed with \(compression); uncompress it first"
                    )
                }
                let size: UInt64 = try content.integer()
                try records(try content.slice(size), file, body)
            case .footer: return
            default: break
            }
        }
    }

    /// A position in bytes; every read is checked.
    private struct Cursor {
        var rest: Data

        init(_ data: Data) { rest = data }

        var left: Int { rest.count }

        mutating func slice(_ length: UInt64) throws -> Cursor {
            guard length <= UInt64(rest.count) else {
                throw AgentError(.badRecording, "the recording ends in the middle of a record")
            }
            defer { rest = rest.dropFirst(Int(length)) }
            return Cursor(rest.prefix(Int(length)))
        }

        mutating func integer<I: FixedWidthInteger & UnsignedInteger>() throws -> I {
            let bytes = try slice(UInt64(I.bitWidth / 8)).rest
            return bytes.reversed().reduce(I(0)) { I.bitWidth == 8 ? I($1) : $0 << 8 | I($1) }
        }

        mutating func text() throws -> String {
            let length: UInt32 = try integer()
            return String(decoding: try slice(UInt64(length)).rest, as: UTF8.self)
        }
    }
}
