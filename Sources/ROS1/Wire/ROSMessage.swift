package import NIOCore

/// A message that can cross TCPROS: its type name, its definition, and how its fields are laid out.
package protocol ROSMessage: Sendable {
    /// `package/Type`.
    static var rosType: String { get }
    /// Fingerprint of the definition, 32 hex digits.
    static var md5: String { get }
    /// Full definition text: own fields first, then every embedded type after an `MSG: package/Type` line.
    static var definition: String { get }
    /// Fingerprints of other generations whose bytes this type also decodes.
    static var variantMD5s: [String] { get }

    init(from reader: inout ROSReader) throws(ROSError)
    func encode(to writer: inout ROSWriter)
}

extension ROSMessage {
    package static var variantMD5s: [String] { [] }

    /// Decodes a whole message body; bytes behind the last field are ignored.
    package init(decoding body: ByteBuffer) throws(ROSError) {
        var reader = ROSReader(body)
        try self.init(from: &reader)
    }

    /// The message body without any framing.
    package func encoded() -> ByteBuffer {
        var writer = ROSWriter()
        encode(to: &writer)
        return writer.buffer
    }
}

/// A request and its response under one name and fingerprint.
package protocol ROSService: Sendable {
    associatedtype Request: ROSMessage
    associatedtype Response: ROSMessage
    /// `package/Type`.
    static var rosType: String { get }
    static var md5: String { get }
}
