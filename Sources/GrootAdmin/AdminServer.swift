import Foundation
package import GrootCore
import Hummingbird
package import Logging

/// The admin listener of a process: `/livez`, `/readyz`, `/metrics`, and what the process adds.
///
/// Loopback unless told otherwise. `isReady` is asked on every `/readyz`; its text says what is missing.
package struct AdminServer: Sendable {
    /// Nil when ready, else the reason.
    package typealias Readiness = @Sendable () -> String?

    private let host: String
    private let port: Int
    private let metrics: MetricsRegistry
    private let readiness: Readiness
    private let logger: Logger
    private let actions: [AdminAction]

    package init(
        host: String,
        port: Int,
        metrics: MetricsRegistry,
        logger: Logger,
        actions: [AdminAction] = [],
        readiness: @escaping Readiness
    ) {
        self.host = host
        self.port = port
        self.metrics = metrics
        self.logger = logger
        self.actions = actions
        self.readiness = readiness
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
        for action in actions {
            router.on(RouterPath(action.path), method: action.method == .get ? .get : .post) { _, context -> Response in
                var parameters: [String: String] = [:]
                for (name, value) in context.parameters { parameters["\(name)"] = "\(value)".removingPercentEncoding }
                let answer = await action.run(parameters)
                return Response(
                    status: .init(code: answer.status),
                    headers: [.contentType: answer.contentType],
                    body: .init(byteBuffer: ByteBuffer(string: answer.body))
                )
            }
        }
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
