/// What a listener can be opened on without asking anybody for a name's address. Pure.
extension Endpoint {
    /// The same with `localhost` as the address that it is everywhere.
    ///
    /// - Throws: `EndpointError` when it is a name: names have several addresses, of other machines too, and change.
    package func listening() throws(EndpointError) -> Endpoint {
        guard case .tcp(let host, let port) = self else { return self }
        if host.lowercased() == "localhost" { return .tcp(host: "127.0.0.1", port: port) }
        guard Self.isIPv4(host) || Self.isIPv6(host) else {
            throw EndpointError(
                text: "\(self)",
                problem: "to listen, an address of this machine is needed, not a name (0.0.0.0 or [::] for all of them)"
            )
        }
        return self
    }

    private static func isIPv4(_ host: some StringProtocol) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    && UInt8(part) != nil
            }
    }

    /// Groups of hexadecimal digits, one run of zeros left out, an IPv4 address at the end, a zone behind `%`.
    private static func isIPv6(_ host: String) -> Bool {
        let zoned = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = zoned.first, address.contains(":"), zoned.last?.isEmpty == false else { return false }
        let halves = address.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return false }
        var count = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let groups = half.split(separator: ":", omittingEmptySubsequences: false)
            for (place, group) in groups.enumerated() {
                if index == halves.count - 1, place == groups.count - 1, isIPv4(group) {
                    count += 2
                    continue
                }
                guard (1...4).contains(group.utf8.count), group.allSatisfy(\.isHexDigit) else { return false }
                count += 1
            }
        }
        return halves.count == 2 ? count < 8 : count == 8
    }
}
