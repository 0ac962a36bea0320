import GrootAPI
import GrootCore

/// One entry of `workers`: an address, or a name that stands for several.
enum WorkerSource: Hashable, Sendable, CustomStringConvertible {
    /// `host`, `host:port` or `unix:/path`.
    case address(Endpoint)
    /// `dns:name:port`: every address of the name is a worker.
    case name(String, port: Int)
    /// `srv:_service._tcp.name`: every target of the SRV records is a worker.
    case service(String)

    /// - Throws: `EndpointError` that says what was expected.
    init(parsing text: String) throws(EndpointError) {
        let trimmed = text.drop { $0 == " " }
        if trimmed.hasPrefix("srv:") {
            let name = String(trimmed.dropFirst(4))
            guard name.utf8.count <= 253, name.split(separator: ".").count >= 3, name.hasPrefix("_") else {
                throw EndpointError(text: text, problem: "an SRV name reads srv:_service._tcp.domain")
            }
            self = .service(name)
        } else if trimmed.hasPrefix("dns:") {
            let rest = String(trimmed.dropFirst(4))
            guard case .tcp(let host, let port) = try Endpoint(parsing: rest, defaultPort: DefaultPort.worker) else {
                throw EndpointError(text: text, problem: "a DNS name reads dns:name or dns:name:port")
            }
            self = .name(host, port: port)
        } else {
            self = .address(try Endpoint(parsing: text, defaultPort: DefaultPort.worker))
        }
    }

    var description: String {
        switch self {
        case .address(let endpoint): "\(endpoint)"
        case .name(let name, let port): "dns:\(name):\(port)"
        case .service(let name): "srv:\(name)"
        }
    }
}
