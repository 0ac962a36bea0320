/// A record that cannot be stored as what it is, kept as bytes with the reason.
package struct QuarantinedRecord: Sendable, Equatable {
    /// Name of the message of `groot.v1`.
    package var kind: String
    /// As the agent gave it, however absurd; nil where there is none.
    package var sequence: UInt64?
    package var reason: String
    /// Protobuf.
    package var record: [UInt8]

    /// Largest record that is taken, in bytes; the table has the same limit.
    package static let byteLimit = 1 << 20
    static let reasonLimit = 2048

    package init(kind: String, sequence: UInt64?, reason: String, record: [UInt8]) {
        self.kind = kind
        self.sequence = sequence
        self.reason = reason
        self.record = record
    }
}
