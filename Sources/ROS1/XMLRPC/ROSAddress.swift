import GrootCore

/// Host and port out of `http://host:port/path` or `rosrpc://host:port`.
struct ROSAddress: Hashable, Sendable {
    var host: String
    var port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// - Throws: `invalidUse` that quotes the text.
    init(parsing uri: String, scheme: String, defaultPort: Int) throws(ROSError) {
        let prefix = scheme + "://"
        guard uri.hasPrefix(prefix) else {
            throw ROSError(.invalidUse, "\"\(uri)\" is no address: expected \(prefix)host:port")
        }
        let authority = uri.dropFirst(prefix.count).prefix { $0 != "/" }
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(parsing: String(authority), defaultPort: defaultPort)
        } catch {
            throw ROSError(.invalidUse, "\"\(uri)\" is no address: expected \(prefix)host:port", cause: error)
        }
        guard case .tcp(let host, let port) = endpoint else {
            throw ROSError(.invalidUse, "\"\(uri)\" names no host: expected \(prefix)host:port")
        }
        self.init(host: host, port: port)
    }

    /// What to bind for a host that other nodes are told: an address as it is, `localhost` on loopback, and any other name on
    /// every interface, as rospy does; the name may belong to a router or exist on the other machines only.
    static func bindable(_ host: String) -> String {
        if host == "localhost" { return "127.0.0.1" }
        let isAddress = host.contains(":") || host.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
        return isAddress ? host : "0.0.0.0"
    }

    var authority: String { Endpoint.tcp(host: host, port: port).description }
}
