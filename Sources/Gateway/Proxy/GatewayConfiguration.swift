import GrootCore
import HTTP2

/// Everything the data plane can be told. Defaults are what the command line leaves alone.
struct GatewayConfiguration: Sendable {
    var listen = Endpoint.tcp(host: "127.0.0.1", port: 8080)
    /// One loop owns everything and needs no locks in practice; more share only the scheduler.
    var eventLoops = 1
    /// Towards robots. Connections end at thirty minutes, so that several gateways share robots evenly.
    var http2 = {
        var limits = HTTP2Limits()
        limits.maxConnectionAge = .seconds(1800)
        return limits
    }()
    /// Towards workers: windows and frames of their own, since one connection carries the answers for many robots; the
    /// rest as HTTP/2 has it.
    var workerHTTP2 = HTTP2Limits()
    /// Certificates towards robots; nil listens in cleartext.
    var tls: TLSContextSource?
    /// Certificates towards workers; nil speaks cleartext to them.
    var workerTLS: TLSContextSource?
    var health = HealthMachine.Configuration()
    var scheduling = SchedulingConfiguration()
    var accessLog = AccessLog.Configuration()
    /// Largest request body; larger ones are refused, by their content-length before anything is buffered.
    var bodyLimit = 16 << 20
    /// Request bytes kept for repetitions, over all requests; beyond, bodies pass but are not repeated.
    var heldBytesLimit = 256 << 20
    /// A second worker for requests whose robot is about to run dry.
    var hedges = false
    /// Attempts on other workers after the first.
    var retryLimit = 2
    /// Longest wait for a worker to come up.
    var holdLimit = Duration.seconds(2)
    /// Control-plane calls of one event loop that may wait for it at a time.
    var holdCount = 1024
    /// Members at a time, from all sources.
    var workerLimit = 256
    /// Deadline of a request that brings none, and the longest one accepted.
    var defaultTimeout = Duration.seconds(30)
    var longestTimeout = Duration.seconds(300)
    /// For requests in flight after SIGTERM.
    var drainBudget = Duration.seconds(5)
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
