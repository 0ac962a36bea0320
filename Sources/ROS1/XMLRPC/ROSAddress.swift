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

    var authority: String { Endpoint.tcp(host: host, port: port).description }
}
