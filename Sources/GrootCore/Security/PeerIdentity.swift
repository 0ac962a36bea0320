/// Who a certificate speaks for: the URI `groot://ROLE/NAME` among its subject alternative names.
///
/// Every certificate of the fleet's authority carries exactly one. A peer may act for that name only: a robot may not
/// report another robot's episodes, an operator may not answer inferences.
package struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
    package enum Role: String, Sendable, CaseIterable {
        case robot, worker, gateway, `operator`
    }

    package var role: Role
    package var name: String

    /// Longest name; names become file names, metadata and labels.
    package static let maximumNameBytes = 64

    /// Nil when the name is not 1 to 64 letters, digits, `_`, `-` or `.`, or starts with a dot or a dash.
    package init?(role: Role, name: String) {
        guard Self.isUsable(name: name) else { return nil }
        self.role = role
        self.name = name
    }

    /// Nil when the text is no identity of this fleet.
    package init?(uri: String) {
        let scheme = "groot://"
        guard uri.hasPrefix(scheme) else { return nil }
        let parts = uri.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let role = Role(rawValue: String(parts[0])) else { return nil }
        self.init(role: role, name: String(parts[1]))
    }

    /// The identity in a certificate's URIs; nil without one, and nil with two: nobody may speak for two names.
    package init?(subjectAlternativeURIs uris: some Sequence<String>) {
        let identities = uris.compactMap { PeerIdentity(uri: $0) }
        guard identities.count == 1 else { return nil }
        self = identities[0]
    }

    package var uri: String { "groot://\(role.rawValue)/\(name)" }

    package var description: String { "\(role.rawValue) \(name)" }

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
