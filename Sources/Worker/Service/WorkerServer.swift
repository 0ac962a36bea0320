import GRPCCore
package import GRPCNIOTransportHTTP2
package import GrootAPI
package import GrootCore
package import GrootSecurity
package import Logging
import ServiceLifecycle

/// The worker's gRPC listener: binds at once, serves when the checkpoint is loaded and warmed, drains on a
/// graceful shutdown.
package struct WorkerServer: Service {
    /// Two camera images of 640 x 480 are 1.8 MB; nothing sensible is larger than this.
    package static let maximumMessageBytes = 16 << 20
    /// Holds a whole observation (460 kB at 4 cameras of 196 x 196), so that a sender never waits for credit.
    package static let windowBytes = 4 << 20
    package static let maximumStreams = 256

    package typealias Transport = CheckedHeadTransport<HTTP2ServerTransport.Posix>
    /// Returns when everything that the worker was started with is in its `ServingState`.
    package typealias Load = @Sendable () async throws(WorkerError) -> Void

    private let server: GRPCServer<Transport>
    private let state: ServingState
    private let endpoint: GrootCore.Endpoint
    private let load: Load
    private let onServing: @Sendable (_ checkpoints: String) async -> Void
    private let metrics: WorkerMetrics
    private let logger: Logger
    /// Stored once the listener is open.
    private let isBound = LatestValue<Bool>()

    package init(
        name: String,
        listen endpoint: GrootCore.Endpoint,
        tls: FleetTLS? = nil,
        state: ServingState,
        metrics: WorkerMetrics,
        logger: Logger,
        onServing: @escaping @Sendable (_ checkpoints: String) async -> Void = { _ in },
        load: @escaping Load
    ) {
        self.state = state
        self.endpoint = endpoint
        self.load = load
        self.onServing = onServing
        self.metrics = metrics
        self.logger = logger
        let transport = HTTP2ServerTransport.Posix(
            address: endpoint.socketAddress,
            // Robots have no business here: what they may ask is the gateway's to decide.
            transportSecurity: tls?.server(accepting: [.gateway]) ?? .plaintext,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = Self.maximumMessageBytes
                config.http2.targetWindowSize = Self.windowBytes
                config.http2.maxFrameSize = 1 << 16
                config.http2.maxConcurrentStreams = Self.maximumStreams
                // The gateway pings an idle connection to learn early that a worker is gone.
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(1)
            }
        )
        server = GRPCServer(
            transport: Transport(transport),
            services: [
                InferenceService(worker: name, state: state, metrics: metrics, logger: logger),
                HealthService(state: state),
            ],
            interceptors: [StatusTextInterceptor()]
        )
    }

    /// The bound address, once it is bound.
    package var address: String {
        get async throws { "\(try await server.transport.base.listeningAddress)" }
    }

    /// The bound port; nil for a unix socket.
    package var port: Int? {
        get async throws {
            let address = try await server.transport.base.listeningAddress
            return address.ipv4?.port ?? address.ipv6?.port
        }
    }

    package func run() async throws {
        try await withGracefulShutdownHandler {
            async let loading = loadAndServe()
            async let counting: Void = countPhases()
            do {
                try await server.serveToTheEnd()
            } catch {
                // Once it was bound, what fails is something else.
                guard isBound.peek() != nil else {
                    throw ListenError("the worker", on: "\(endpoint)", cause: error)
                }
                throw WorkerError(.notServing, "Serving on \(endpoint) ended: \(error)")
            }
            try await loading.get()
            await counting
            if let failure = state.failure { throw failure }
        } onGracefulShutdown: {
            logger.info("draining")
            drain()
        }
    }

    /// host:port as others on the network can use it, once it is bound.
    package var reachableAddress: String {
        get async throws {
            let bound = try await server.transport.base.listeningAddress
            if let address = bound.ipv4 { return "\(address.host):\(address.port)" }
            if let address = bound.ipv6 { return "[\(address.host)]:\(address.port)" }
            return "\(endpoint)"
        }
    }

    /// Ends with the drain, as every watch does.
    private func countPhases() async {
        for await phase in state.watch() { metrics.entered(phase) }
        guard let failure = state.failure else { return }
        logger.critical("the worker ends", metadata: ["error": "\(failure)"])
        server.beginGracefulShutdown()
    }

    /// Makes the worker ready; a checkpoint that cannot be loaded ends the listener the gentle way.
    private func loadAndServe() async -> Result<Void, WorkerError> {
        // A port that cannot be bound is reported by serve(), at once.
        guard let address = try? await address else { return .success(()) }
        isBound.store(true)
        logger.info("listening", metadata: ["peer": "\(address)"])
        do throws(WorkerError) {
            try await load()
            let names = state.resident.map { $0.runner.description.checkpoint }.joined(separator: ", ")
            logger.info("serving", metadata: ["checkpoint": "\(names)"])
            await onServing(names)
            return .success(())
        } catch {
            drain()
            return .failure(error)
        }
    }

    private func drain() {
        state.drain()
        server.beginGracefulShutdown()
    }
}

extension GrootCore.Endpoint {
    fileprivate var socketAddress: GRPCNIOTransportHTTP2.SocketAddress {
        switch self {
        case .tcp(let host, let port) where host.contains(":"): .ipv6(host: host, port: port)
        case .tcp(let host, let port): .ipv4(host: host, port: port)
        case .unix(let path): .unixDomainSocket(path: path)
        }
    }
}
