import Foundation
import FoundationXML

extension XMLRPCDocument {
    /// Longest document that is parsed, in bytes; `getSystemState` of a large robot is about 100 kB.
    static let maximumBytes = 8 << 20

    /// Parses a document that a peer sent.
    ///
    /// - Throws: `malformed` or `tooLarge`. Document type declarations are refused, which rules out
    ///   entity expansion.
    init(parsing bytes: [UInt8]) throws(ROSError) {
        guard bytes.count <= Self.maximumBytes else {
            throw ROSError(.tooLarge, "an XML-RPC document of \(bytes.count) bytes exceeds \(Self.maximumBytes)")
        }
        // The search below reads bytes as they are: another encoding would hide a declaration from it, not from the parser.
        guard !bytes.contains(0), bytes.declaresPlainEncoding else {
            throw ROSError(.malformed, "an XML-RPC document must be UTF-8")
        }
        guard !bytes.containsDoctype else {
            throw ROSError(.malformed, "an XML-RPC document must not declare a document type")
        }
        let builder = DocumentBuilder()
        let parser = XMLParser(data: Data(bytes))
        parser.delegate = builder
        let parsed = parser.parse()
        if let problem = builder.problem { throw ROSError(.malformed, problem) }
        guard parsed, let document = builder.document() else {
            throw ROSError(.malformed, "the peer's body is no XML-RPC document", cause: parser.parserError)
        }
        self = document
    }
}

extension [UInt8] {
    /// Whether the XML declaration, if there is one, names an encoding whose markup is ASCII.
    fileprivate var declaresPlainEncoding: Bool {
        let head = String(decoding: prefix(200), as: UTF8.self).lowercased()
        guard head.contains("<?xml"), let declared = head.range(of: "encoding") else { return true }
        let end = head.range(of: "?>")?.lowerBound ?? head.endIndex
        guard declared.lowerBound < end else { return true }
        let value = head[declared.upperBound..<end].drop { " =\"'\t\r\n".contains($0) }
        return ["utf-8", "us-ascii", "ascii", "iso-8859-1"].contains { value.hasPrefix($0) }
    }

    fileprivate var containsDoctype: Bool {
        let pattern = Array("<!DOCTYPE".utf8)
        var start = startIndex
        while let open = self[start...].firstIndex(of: pattern[0]) {
            if self[open...].starts(with: pattern) { return true }
            start = open + 1
        }
        return false
    }
}

/// Collects parser events into values; lives for one parse on one thread.
private final class DocumentBuilder: NSObject, XMLParserDelegate {
    private static let maximumDepth = 64

    /// A container that is open: an array's items, or a struct's members with the name read last.
    private enum Container {
        case array([XMLRPCValue])
        case structure([String: XMLRPCValue], name: String)
    }

    private var containers: [Container] = []
    private var text = ""
    /// The value read inside the innermost open `<value>`, or nil while it may still be bare text.
    private var typed: [XMLRPCValue?] = []
    private var method: String?
    private var parameters: [XMLRPCValue] = []
    private var isResponse = false
    private var isFault = false
    private(set) var problem: String?

    func document() -> XMLRPCDocument? {
        if let method { return .call(method: method, parameters: parameters) }
        guard isResponse, parameters.count == 1 else { return nil }
        guard isFault else { return .response(parameters[0]) }
        guard let members = parameters[0].structure else { return nil }
        return .fault(code: members["faultCode"]?.int ?? 0, message: members["faultString"]?.string ?? "")
    }

    func parser(
        _ parser: XMLParser,
        didStartElement name: String,
        namespaceURI: String?,
        qualifiedName: String?,
        attributes: [String: String] = [:]
    ) {
        text = ""
        switch name {
        case "value": typed.append(nil)
        case "array": containers.append(.array([]))
        case "struct": containers.append(.structure([:], name: ""))
        case "methodResponse": isResponse = true
        case "fault": isFault = true
        default: break
        }
        if typed.count > Self.maximumDepth || containers.count > Self.maximumDepth {
            fail(parser, "an XML-RPC document is nested deeper than \(Self.maximumDepth) levels")
        }
    }

    func parser(_ parser: XMLParser, foundCharacters characters: String) {
        text += characters
    }

    func parser(_ parser: XMLParser, foundCDATA block: Data) {
        text += String(decoding: block, as: UTF8.self)
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        switch name {
        case "methodName": method = trimmed
        case "name":
            if case .structure(let members, _) = containers.last {
                containers[containers.count - 1] = .structure(members, name: text)
            }
        case "int", "i4", "i8":
            guard let value = Int(trimmed) else { return fail(parser, "\"\(trimmed.prefix(40))\" is no integer") }
            set(.int(value))
        case "boolean":
            guard trimmed == "0" || trimmed == "1" else {
                return fail(parser, "\"\(trimmed.prefix(40))\" is no boolean")
            }
            set(.bool(trimmed == "1"))
        case "double":
            guard let value = Double(trimmed) else { return fail(parser, "\"\(trimmed.prefix(40))\" is no double") }
            set(.double(value))
        case "string": set(.string(text))
        case "dateTime.iso8601": set(.dateTime(trimmed))
        case "base64":
            guard let data = Data(base64Encoded: trimmed, options: .ignoreUnknownCharacters) else {
                return fail(parser, "a base64 value cannot be decoded")
            }
            set(.bytes([UInt8](data)))
        case "nil": set(.string(""))
        case "array":
            if case .array(let values) = containers.popLast() { set(.array(values)) }
        case "struct":
            if case .structure(let members, _) = containers.popLast() { set(.structure(members)) }
        case "value": close(parser)
        default: break
        }
        text = ""
    }

    private func set(_ value: XMLRPCValue) {
        guard !typed.isEmpty else { return }
        typed[typed.count - 1] = value
    }

    /// A `<value>` ended: give it to the array, struct or parameter list around it.
    private func close(_ parser: XMLParser) {
        guard let last = typed.popLast() else { return fail(parser, "a value ends that never began") }
        let value = last ?? .string(text)
        switch containers.last {
        case .array(let values)?:
            // Take the storage out before appending, so that a long array is not copied per element.
            var values = values
            containers[containers.count - 1] = .array([])
            values.append(value)
            containers[containers.count - 1] = .array(values)
        case .structure(var members, let name)?:
            // The same for the members of a long struct.
            containers[containers.count - 1] = .structure([:], name: "")
            members[name] = value
            containers[containers.count - 1] = .structure(members, name: "")
        case nil: parameters.append(value)
        }
    }

    private func fail(_ parser: XMLParser, _ text: String) {
        if problem == nil { problem = text }
        parser.abortParsing()
    }
}
