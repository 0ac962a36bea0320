import Foundation
package import GrootCore
package import Hummingbird
package import Logging
import NIOCore
import NIOPosix

/// The admin listener of a process: `/livez`, `/readyz`, `/metrics`.
///
/// Loopback unless told otherwise. `readiness` is asked on every `/readyz`; its text says what is missing. Requests that
/// `AdminGate` refuses get no further.
package struct AdminServer: Sendable {
    /// Nil when ready, else the reason.
    package typealias Readiness = @Sendable () -> String?

    /// One more line of `/readyz` that changes nothing about its answer.
    package typealias Remark = @Sendable () -> String?

    /// Adds a process's own pages.
    package typealias Routes = @Sendable (Router<BasicRequestContext>) -> Void

    private let host: String
    private let port: Int
    private let metrics: MetricsRegistry
    private let readiness: Readiness
    private let remark: Remark
    private let logger: Logger
    private let routes: Routes

    package init(
        host: String,
        port: Int,
        metrics: MetricsRegistry,
        logger: Logger,
        routes: @escaping Routes = { _ in },
        remark: @escaping Remark = { nil },
        readiness: @escaping Readiness
    ) {
        self.host = host
        self.port = port
        self.metrics = metrics
        self.logger = logger
        self.readiness = readiness
        self.remark = remark
        self.routes = routes
    }

    /// Serves as a task of a group; returns once it listens.
    ///
    /// - Throws: `ListenError` when the address cannot be listened on.
    package func start(in group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        let (opened, continuation) = AsyncThrowingStream.makeStream(of: Void.self)
        group.addTask {
            do {
                try await run { continuation.finish() }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
                throw error
            }
        }
        for try await _ in opened {}
    }

    /// Serves until it is cancelled or drained.
    ///
    /// - Throws: `ListenError` when the address cannot be listened on.
    package func run(listening: @escaping @Sendable () -> Void = {}) async throws {
        let process = ProcessInfo.processInfo
        let gate = AdminGate(
            configured: host,
            machine: process.hostName,
            further: process.environment[AdminGate.variable]
        )
        let router = Router()
        router.add(middleware: GateKeeper(gate: gate))
        router.get("/livez") { _, _ in "ok\n" }
        router.get("/readyz") { [readiness, remark] _, _ -> Response in
            let reason = readiness()
            let lines = [reason ?? "ready"] + [remark()].compactMap { $0 }
            return Response(
                status: reason == nil ? .ok : .serviceUnavailable,
                headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: lines.joined(separator: "\n") + "\n"))
            )
        }
        router.get("/metrics") { [metrics] _, _ -> Response in
            Response(
                status: .ok,
                headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: metrics.render()))
            )
        }
        routes(router)
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            router: router,
            configuration: .init(address: .hostname(host, port: port), serverName: "groot"),
            onServerRunning: { _ in listening() },
            logger: quiet
        )
        do {
            // The owner's service group handles signals; run(...) here only serves until it is cancelled or drained.
            try await application.run()
        } catch let error where Self.isAboutTheAddress(error) {
            throw ListenError(
                "the admin listener",
                on: "\(Endpoint.tcp(host: host, port: port))",
                cause: error
            )
        }
    }
}

extension AdminServer {
    /// Opening the socket failed; nothing else of the server throws these.
    private static func isAboutTheAddress(_ error: any Error) -> Bool {
        error is IOError || error is SocketAddressError || error is SocketAddressError.UnknownHost
    }
}

/// Asks the gate before anything else.
private struct GateKeeper: RouterMiddleware {
    typealias Context = BasicRequestContext

    let gate: AdminGate

    func handle(
        _ request: Request,
        context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        let refusal = gate.refusal(host: request.head.authority, origin: request.headers[.origin])
        guard let refusal else { return try await next(request, context) }
        return Response(
            status: .init(code: refusal.status),
            headers: [.contentType: "text/plain; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: refusal.text + "\n"))
        )
    }
}
