import NIOCore

/// An IP address as a certificate holds it: 4 or 16 bytes.
struct ServerAddress: Hashable, Sendable {
    let bytes: [UInt8]

    /// Nil when the text is no IPv4 or IPv6 address; an IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is none either.
    init?(_ text: String) {
        // The socket address checks the text and gives its canonical form; what is wrong is said by the flag.
        guard let canonical = (try? SocketAddress(ipAddress: text, port: 0))?.ipAddress else { return nil }
        let found = canonical.contains(":") ? Self.v6(canonical) : Self.v4(canonical)
        guard let found else { return nil }
        bytes = found
    }

    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    private static func v4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        return parts.count == 4 ? parts : nil
    }

    private static func v6(_ text: String) -> [UInt8]? {
        func groups(_ text: Substring) -> [UInt16]? {
            let words = text.split(separator: ":")
            let groups = words.compactMap { UInt16($0, radix: 16) }
            return groups.count == words.count ? groups : nil
        }
        let halves = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
        guard let head = groups(halves[0]), let tail = groups(halves.count == 2 ? halves[1] : ""),
            head.count + tail.count <= 8
        else { return nil }
        let gap = Array(repeating: UInt16(0), count: 8 - head.count - tail.count)
        return (head + gap + tail).flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }
}
