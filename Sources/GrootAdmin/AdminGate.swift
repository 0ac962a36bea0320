import GrootCore

/// Which requests an admin listener answers: those that say whom they mean, and do not come out of a foreign web page.
///
/// A page in somebody's browser can reach loopback and private addresses. With a name of its own that resolves to one
/// of them it would even read the answers (DNS rebinding); so names must be known: addresses, `localhost`, this
/// machine's name, the configured host, and what GROOT_ADMIN_HOSTS lists. Pure; shared by all connections.
package struct AdminGate: Sendable {
    package struct Refusal: Equatable, Sendable {
        package var status: Int
        package var text: String
    }

    /// Further names, comma-separated, by which this machine's admin listeners are called: `gpu1.lab.example`.
    package static let variable = "GROOT_ADMIN_HOSTS"

    private let names: Set<String>

    /// - Parameters:
    ///   - configured: the host that the listener was told to listen on.
    ///   - further: the value of `variable`, if it is set.
    package init(configured: String, machine: String, further: String?) {
        var names: Set<String> = ["localhost"]
        for name in [configured, machine] + (further ?? "").split(separator: ",").map(String.init) {
            let name = Self.canonical(name.drop { $0 == " " })
            if !name.isEmpty { names.insert(name) }
        }
        self.names = names
    }

    /// Nil when the request may be answered.
    ///
    /// - Parameters:
    ///   - host: the `Host` field; nil when the client sent none, which no browser does.
    ///   - origin: the `Origin` field: where the page lies that asks.
    package func refusal(host: String?, origin: String?) -> Refusal? {
        if let host, !isKnown(Self.name(in: host)) {
            return Refusal(
                status: 421,
                text: """
                    "\(Self.clipped(host))" is no name of this listener; use an address, or list the name in \
                    \(Self.variable)
                    """
            )
        }
        guard let origin else { return nil }
        // The dashboard asks its own listener.
        if let host, origin == "http://\(host)" || origin == "https://\(host)" { return nil }
        return Refusal(status: 403, text: "a web page of \"\(Self.clipped(origin))\" may ask nothing here")
    }

    private func isKnown(_ name: Substring) -> Bool {
        Self.isAddress(name) || names.contains(Self.canonical(name))
    }

    /// Lower case, without the root's dot.
    private static func canonical(_ name: Substring) -> String {
        (name.last == "." ? name.dropLast() : name).lowercased()
    }

    /// The host of `host:port`, `[v6]:port`; empty when it is malformed.
    private static func name(in authority: String) -> Substring {
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return "" }
            return authority[authority.index(after: authority.startIndex)..<end]
        }
        let colons = authority.count { $0 == ":" }
        guard colons <= 1 else { return "" }
        return authority.prefix { $0 != ":" }
    }

    /// An address cannot be rebound: whoever writes it means it.
    private static func isAddress(_ name: Substring) -> Bool {
        if name.contains(":") {
            // A zone is a name of the machine's own interfaces.
            return name.prefix { $0 != "%" }.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.allSatisfy(\.isNumber) && UInt8($0) != nil }
    }

    /// What a stranger wrote, short and printable.
    private static func clipped(_ text: String) -> String {
        String(text.prefix(80).map { $0.isASCII && $0 >= " " && $0 != "\u{7F}" && $0 != "\"" ? $0 : "?" })
    }
}
