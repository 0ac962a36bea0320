/// Where a peer listens: `host`, `host:port`, `[v6]:port` or `unix:/path`.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Parses what a user wrote.
    ///
    /// - Throws: `EndpointError` that quotes the text and says what was expected.
    package init(parsing text: String, defaultPort: Int) throws(EndpointError) {
        let trimmed = text.trimmed
        if trimmed.hasPrefix("unix:") {
            let path = String(trimmed.dropFirst(5))
            guard path.hasPrefix("/") else { throw EndpointError(text: text, problem: "a unix path must be absolute") }
            self = .unix(path: path)
            return
        }
        guard !trimmed.isEmpty else { throw EndpointError(text: text, problem: "it is empty") }
        var host = Substring(trimmed)
        var port = defaultPort
        if trimmed.hasPrefix("[") {
            guard let close = trimmed.firstIndex(of: "]") else {
                throw EndpointError(text: text, problem: "the bracket is not closed")
            }
            host = trimmed[trimmed.index(after: trimmed.startIndex)..<close]
            let rest = trimmed[trimmed.index(after: close)...]
            if !rest.isEmpty {
                guard rest.hasPrefix(":") else {
                    throw EndpointError(text: text, problem: "after ] only :port may follow")
                }
                port = try Self.port(rest.dropFirst(), of: text)
            }
        } else if let colon = trimmed.firstIndex(of: ":") {
            guard trimmed.lastIndex(of: ":") == colon else {
                throw EndpointError(text: text, problem: "write an IPv6 address in brackets, [::1]:8080")
            }
            host = trimmed[..<colon]
            port = try Self.port(trimmed[trimmed.index(after: colon)...], of: text)
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else {
            throw EndpointError(text: text, problem: "the host name is missing or malformed")
        }
        self = .tcp(host: String(host), port: port)
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    private static func port(_ digits: Substring, of text: String) throws(EndpointError) -> Int {
        guard let port = Int(digits), (0...65535).contains(port) else {
            throw EndpointError(text: text, problem: "the port must be a number from 0 to 65535")
        }
        return port
    }
}

/// A text that is no endpoint.
package struct EndpointError: Error, CustomStringConvertible, Equatable {
    package var text: String
    package var problem: String

    package init(text: String, problem: String) {
        self.text = text
        self.problem = problem
    }

    package var description: String {
        "\"\(text)\" is no address: \(problem). Expected host, host:port, [v6]:port or unix:/path."
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
