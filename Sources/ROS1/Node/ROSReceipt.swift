package import GrootCore

/// Where a message came from and when its last byte was read.
package struct ROSReceipt: Sendable, Hashable {
    package var receivedAt: MonotonicInstant
    /// The publisher's caller id, `/node_name`.
    package var publisher: String
    /// The publisher's own fingerprint, which may be one of the type's variants.
    package var md5: String
    /// Size of the message body.
    package var byteCount: Int

    package init(receivedAt: MonotonicInstant, publisher: String, md5: String, byteCount: Int) {
        self.receivedAt = receivedAt
        self.publisher = publisher
        self.md5 = md5
        self.byteCount = byteCount
    }
}
