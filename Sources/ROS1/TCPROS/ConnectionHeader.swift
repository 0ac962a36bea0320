import NIOCore

/// The `key=value` fields that open every TCPROS connection in each direction.
struct ConnectionHeader: Sendable, Hashable {
    /// Longest header that is read, in bytes; the longest field is the definition text.
    static let maximumBytes = 1 << 20
    /// Stands for "whatever you have" as type or fingerprint.
    static let wildcard = "*"

    var fields: [String: String]

    init(_ fields: [String: String]) {
        self.fields = fields
    }

    /// Parses the fields behind the frame's length.
    init(from body: ByteBuffer) throws(ROSError) {
        var reader = ROSReader(body)
        var fields: [String: String] = [:]
        while reader.remaining > 0 {
            let field = try reader.string()
            guard let equals = field.firstIndex(of: "="), equals != field.startIndex else {
                throw ROSError(.malformed, "a connection header field has no key: \"\(field.prefix(40))\"")
            }
            fields[String(field[..<equals])] = String(field[field.index(after: equals)...])
        }
        self.fields = fields
    }

    subscript(key: String) -> String? { fields[key] }

    /// Length and fields, as sent.
    func framed() -> ByteBuffer {
        var writer = ROSWriter()
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { writer.string("\(key)=\(value)") }
        var frame = ByteBuffer()
        frame.writeInteger(UInt32(writer.buffer.readableBytes), endianness: .little)
        frame.writeImmutableBuffer(writer.buffer)
        return frame
    }

    /// The header that a refusing end sends instead of its own.
    static func refusal(_ reason: String) -> ConnectionHeader {
        ConnectionHeader(["error": reason])
    }
}
