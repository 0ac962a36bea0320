package import GrootCore
package import Hummingbird
package import Logging

/// The admin listener of a process: `/livez`, `/readyz`, `/metrics`.
///
/// Loopback unless told otherwise. `isReady` is asked on every `/readyz`; its text says what is missing.
package struct AdminServer: Sendable {
    /// Nil when ready, else the reason.
    package typealias Readiness = @Sendable () -> String?

    /// Adds a process's own pages.
    package typealias Routes = @Sendable (Router<BasicRequestContext>) -> Void

    private let host: String
    private let port: Int
    private let metrics: MetricsRegistry
    private let readiness: Readiness
    private let logger: Logger
    private let routes: Routes

    package init(
        host: String,
        port: Int,
        metrics: MetricsRegistry,
        logger: Logger,
        routes: @escaping Routes = { _ in },
        readiness: @escaping Readiness
    ) {
        self.host = host
        self.port = port
        self.metrics = metrics
        self.logger = logger
        self.readiness = readiness
        self.routes = routes
    }

    package func run() async throws {
        let router = Router()
        router.get("/livez") { _, _ in "ok\n" }
        router.get("/readyz") { [readiness] _, _ -> Response in
            let reason = readiness()
            return Response(
                status: reason == nil ? .ok : .serviceUnavailable,
                headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: (reason ?? "ready") + "\n"))
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
            logger: quiet
        )
        // The owner's service group handles signals; run(...) here only serves until it is cancelled or drained.
        try await application.run()
    }
}
