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
    var workerHTTP2 = {
        var limits = HTTP2Limits()
        // A header block that is too long costs its stream, not the connection of all robots.
        limits.maxContinuations = 64
        return limits
    }()
    /// Certificates towards robots; nil listens in cleartext.
    var tls: TLSContextSource?
    /// Certificates towards workers; nil speaks cleartext to them.
    var workerTLS: TLSContextSource?
    var health = HealthMachine.Configuration()
    var scheduling = SchedulingConfiguration()
    var accessLog = AccessLog.Configuration()
    /// Largest request body; larger ones are refused: by content-length, by what gRPC's frame announces, by counting.
    var bodyLimit = 16 << 20
    /// Header list of a request as workers accept it, with what the gateway adds; 32 bytes a field on top.
    var workerHeaderListSize = 16 << 10
    /// Request bytes kept until they are answered, over all requests; beyond, requests are refused.
    var heldBytesLimit = 256 << 20
    /// An answer is kept until it is complete, so that one that breaks off is repeated; larger ones are passed on as they
    /// come.
    var heldAnswerLimit = 1 << 20
    /// What one robot, and what everybody else, may have in hand.
    var robotLimits = ParticipantLimits.robot
    var peerLimits = ParticipantLimits.peer
    /// From the head of a request to its last byte, and the bytes per second below which it is given up.
    var uploadTimeout = Duration.seconds(30)
    var uploadRate = 4096
    /// A second worker is asked when an answer is so late; zero: never.
    var overdue = Duration.milliseconds(200)
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

    /// What one request may do.
    var rules: RequestMachine.Rules {
        RequestMachine.Rules(
            attempts: 1 + retryLimit,
            hedges: hedges,
            overdue: overdue,
            uploadTimeout: uploadTimeout,
            uploadRate: uploadRate,
            holdLimit: holdLimit
        )
    }

    func limits(of participant: Participant) -> ParticipantLimits { participant.isRobot ? robotLimits : peerLimits }
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
