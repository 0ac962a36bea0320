/// One value of the XML-RPC data model.
enum XMLRPCValue: Sendable, Hashable {
    case int(Int)
    case bool(Bool)
    case double(Double)
    case string(String)
    /// ISO 8601 text as received; nothing here computes with it.
    case dateTime(String)
    case bytes([UInt8])
    case array([XMLRPCValue])
    case structure([String: XMLRPCValue])

    var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The integer, also if a peer wrote it as a bool.
    var int: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    var array: [XMLRPCValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    var strings: [String]? {
        guard let values = array else { return nil }
        let strings = values.compactMap(\.string)
        return strings.count == values.count ? strings : nil
    }

    var structure: [String: XMLRPCValue]? {
        if case .structure(let members) = self { return members }
        return nil
    }

    static func strings(_ values: [String]) -> XMLRPCValue {
        .array(values.map(XMLRPCValue.string))
    }
}

/// A method call, a result or a fault: what one XML-RPC document says.
enum XMLRPCDocument: Sendable, Hashable {
    case call(method: String, parameters: [XMLRPCValue])
    case response(XMLRPCValue)
    case fault(code: Int, message: String)
}
