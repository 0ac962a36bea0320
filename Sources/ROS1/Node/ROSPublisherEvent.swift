/// A publisher as its connection header describes it.
package struct ROSPublisherDescription: Sendable, Hashable {
    /// Caller id, `/node_name`.
    package var name: String
    package var type: String
    package var md5: String

    package init(name: String, type: String, md5: String) {
        self.name = name
        self.type = type
        self.md5 = md5
    }
}

/// Why nothing of a publisher is delivered: its type or fingerprint is not one that this node decodes.
package struct ROSRefusal: Sendable, Hashable, CustomStringConvertible {
    package var publisher: ROSPublisherDescription
    package var expectedType: String
    /// Our own fingerprint first, then those of the known generations.
    package var expectedMD5s: [String]

    package init(publisher: ROSPublisherDescription, expectedType: String, expectedMD5s: [String]) {
        self.publisher = publisher
        self.expectedType = expectedType
        self.expectedMD5s = expectedMD5s
    }

    package var description: String {
        let known = expectedMD5s.joined(separator: " or ")
        return "\(publisher.name) publishes \(publisher.type) with fingerprint \(publisher.md5), "
            + "known is \(expectedType) with \(known)"
    }
}

/// What becomes of the publishers of a topic that this node follows.
package enum ROSPublisherEvent: Sendable, Hashable {
    /// A connection stands; its messages are delivered from here on.
    case connected(ROSPublisherDescription)
    /// A connection that stood has ended.
    case disconnected(ROSPublisherDescription)
    /// Nothing of it is delivered; said again at each attempt while the master lists it.
    case refused(ROSRefusal)
}
