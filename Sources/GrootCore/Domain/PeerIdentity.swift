/// Who a certificate speaks for: the URI `groot://KIND/NAME` among its subject alternative names.
///
/// Every certificate of the fleet's authority carries exactly one. A peer may act for that name only: a robot may not
/// report another robot's episodes, an operator may not answer inferences.
package struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        case robot
        case worker
        case gateway
        case `operator`
    }

    package static let scheme = "groot://"
    /// Names become file names, metadata and labels.
    package static let maximumNameBytes = 64

    package var kind: Kind
    package var name: String

    /// The caller knows that the name is usable.
    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    /// Nil for a URI of another scheme or shape, and for a name that is not usable.
    package init?(uri: String) {
        guard uri.hasPrefix(Self.scheme) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])), Self.isUsable(name: String(parts[1]))
        else { return nil }
        self.init(kind, String(parts[1]))
    }

    /// The identity in a certificate's URIs; nil without one, and nil with two: nobody may speak for two names.
    package init?(subjectAlternativeURIs uris: some Sequence<String>) {
        let identities = uris.compactMap { PeerIdentity(uri: $0) }
        guard identities.count == 1 else { return nil }
        self = identities[0]
    }

    /// `robot/r1`: as it is logged and passed on as metadata.
    package var description: String { "\(kind.rawValue)/\(name)" }

    package var uri: String { Self.scheme + description }

    /// 1 to 64 letters, digits, `_`, `-` or `.`, and neither a dot nor a dash in front.
    package static func isUsable(name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= maximumNameBytes else { return false }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
