import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
package import GrootCore
package import GrootSecurity
package import Logging
import ServiceLifecycle

/// When the worker speaks to the gateway about itself. Pure; the caller passes the time in.
package struct LeaseMachine: Hashable, Sendable {
    /// First and longest wait after a failure.
    package static let firstRetry: Duration = .milliseconds(500)
    package static let longestRetry: Duration = .seconds(15)

    private var retry = firstRetry

    package init() {}

    /// Returns how long to wait before saying it again: a third of the lease, so that two lost calls cost nothing.
    package mutating func renewed(lease: Duration) -> Duration {
        retry = Self.firstRetry
        return max(.milliseconds(100), lease / 3)
    }

    /// Returns how long to wait before the next try.
    package mutating func failed() -> Duration {
        defer { retry = min(retry * 2, Self.longestRetry) }
        return retry
    }
}

/// Joins a gateway's pool and stays in it by repeating the call before its lease ends; says goodbye when draining.
package struct GatewayRegistration: Service {
    private static let callLimit: Duration = .seconds(5)

    private let gateway: GrootCore.Endpoint
    private let worker: String
    private let address: @Sendable () async throws -> String
    private let state: ServingState
    private let tls: FleetTLS?
    private let logger: Logger

    /// - Parameters:
    ///   - address: host:port at which gateways reach this worker; asked when the listener is bound.
    package init(
        gateway: GrootCore.Endpoint,
        worker: String,
        state: ServingState,
        tls: FleetTLS? = nil,
        logger: Logger,
        address: @escaping @Sendable () async throws -> String
    ) {
        self.gateway = gateway
        self.worker = worker
        self.state = state
        self.tls = tls
        self.logger = logger
        self.address = address
    }

    package func run() async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: gateway.resolvableTarget,
            transportSecurity: tls?.client(to: gateway.host, expecting: [.gateway]) ?? .plaintext
        )
        try await withGRPCClient(transport: transport) { client in
            let fleet = Groot_V1_Fleet.Client(wrapping: client)
            let address = try await address()
            await cancelWhenGracefulShutdown { await renew(fleet, address: address) }
            var goodbye = request(address)
            goodbye.leaving = true
            var options = CallOptions.defaults
            options.timeout = .seconds(1)
            // The lease ends by itself when the gateway does not hear it.
            _ = try? await fleet.registerWorker(goodbye, options: options)
        }
    }

    private func renew(_ fleet: Groot_V1_Fleet.Client<HTTP2ClientTransport.Posix>, address: String) async {
        var machine = LeaseMachine()
        var joined = false
        var options = CallOptions.defaults
        options.timeout = Self.callLimit
        while !Task.isCancelled {
            var wait = Duration.milliseconds(100)
            if state.phase == .serving {
                do {
                    let answer = try await fleet.registerWorker(request(address), options: options)
                    wait = machine.renewed(lease: .nanoseconds(Int64(clamping: answer.leaseNs)))
                    if !joined { logger.info("joined the gateway", metadata: ["gateway": "\(gateway)"]) }
                    joined = true
                } catch {
                    wait = machine.failed()
                    if !Task.isCancelled {
                        logger.warning(
                            "the gateway does not take this worker; trying again",
                            metadata: ["gateway": "\(gateway)", "error": "\(error)", "wait_ms": "\(wait.milliseconds)"]
                        )
                    }
                    joined = false
                }
            }
            // Cancelled by the drain, which the loop's condition sees.
            try? await Task.sleep(for: wait)
        }
    }

    private func request(_ address: String) -> Groot_V1_RegisterWorkerRequest {
        var request = Groot_V1_RegisterWorkerRequest()
        request.worker = worker
        request.address = address
        return request
    }
}

extension GrootCore.Endpoint {
    fileprivate var resolvableTarget: any ResolvableTarget {
        switch self {
        case .unix(let path): .unixDomainSocket(path: path)
        case .tcp(let host, let port) where host.contains(":"): .ipv6(address: host, port: port)
        case .tcp(let host, let port): .dns(host: host, port: port)
        }
    }

    /// What the gateway's certificate must carry; a unix socket has no name.
    fileprivate var host: String? {
        if case .tcp(let host, _) = self { host } else { nil }
    }
}
