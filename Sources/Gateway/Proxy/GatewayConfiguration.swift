import GrootCore
import HTTP2

/// Everything the data plane can be told. Defaults are what the command line leaves alone.
struct GatewayConfiguration: Sendable {
    var listen = Endpoint.tcp(host: "127.0.0.1", port: 8080)
    var workers: [Endpoint] = []
    /// One loop owns everything and needs no locks in practice; more share only the balancer.
    var eventLoops = 1
    /// Towards robots. Connections end at thirty minutes, so that several gateways share robots evenly.
    var http2 = {
        var limits = HTTP2Limits()
        limits.maxConnectionAge = .seconds(1800)
        return limits
    }()
    /// Certificates towards robots; nil listens in cleartext.
    var tls: TLSContextSource?
    /// Certificates towards workers; nil speaks cleartext to them.
    var workerTLS: TLSContextSource?
    var health = HealthMachine.Configuration()
    var balancer = Balancer.Configuration()
    /// Largest request body; larger ones are refused, by their content-length before anything is buffered.
    var bodyLimit = 16 << 20
    /// Request bytes kept per request for a retry; larger bodies pass but are not repeated.
    var heldBodyLimit = 16 << 20
    /// Attempts on other workers after the first.
    var retryLimit = 2
    /// Longest wait for a worker to come up.
    var holdLimit = Duration.seconds(2)
    /// Requests of one event loop that may wait for a worker at a time.
    var holdCount = 1024
    /// Deadline of a request that brings none, and the longest one accepted.
    var defaultTimeout = Duration.seconds(30)
    var longestTimeout = Duration.seconds(300)
    /// For requests in flight after SIGTERM.
    var drainBudget = Duration.seconds(5)

    /// Sets one limit towards robots by its name; returns what is wrong, or nil.
    mutating func setLimit(_ name: String, to value: String) -> String? {
        guard name == "max-body-size" else { return HTTP2LimitKey.set(name, to: value, in: &http2) }
        guard let bytes = Int(value), (1...(1 << 30)).contains(bytes) else {
            return "max-body-size must be a number from 1 to \(1 << 30) (bytes), not \"\(value)\""
        }
        bodyLimit = bytes
        return nil
    }
}

/// What went wrong in the gateway as a process.
struct GatewayError: Error, CustomStringConvertible {
    enum Code: Sendable {
        /// A listener cannot be opened.
        case address
        /// The control plane cannot serve.
        case controlPlane
    }

    var code: Code
    var message: String
    var cause: (any Error)?

    var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }
}
