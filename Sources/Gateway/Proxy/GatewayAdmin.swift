import Foundation
import GrootAdmin
import GrootCore
import Logging

/// What the gateway's admin listener offers beside health and metrics.
enum GatewayAdmin {
    static func actions(_ running: LatestValue<DataPlane>, logger: Logger) -> [AdminAction] {
        let starting = AdminAction.Answer(status: 503, "the gateway is starting\n")
        func drain(_ drains: Bool) -> @Sendable ([String: String]) async -> AdminAction.Answer {
            { parameters in
                let worker = parameters["name"] ?? ""
                guard let dataPlane = running.peek() else { return starting }
                guard dataPlane.drain(worker, drains) else {
                    return AdminAction.Answer(status: 404, "there is no worker \"\(worker)\"\n")
                }
                logger.notice(drains ? "drains by order" : "serves again by order", metadata: ["worker": "\(worker)"])
                return AdminAction.Answer("ok\n")
            }
        }
        return [
            AdminAction(.get, "/state") { _ in running.peek().map { .json($0.state().json()) } ?? starting },
            AdminAction(.post, "/workers/:name/drain", drain(true)),
            AdminAction(.post, "/workers/:name/undrain", drain(false)),
            AdminAction(.post, "/drain") { _ in
                // The same way as an operator's SIGTERM, with the same budget.
                kill(getpid(), SIGTERM)
                return AdminAction.Answer(status: 202, "draining\n")
            },
            AdminAction(.post, "/log-level/:level") { parameters in
                guard let level = parameters["level"].flatMap({ Logger.Level(rawValue: $0) }) else {
                    return AdminAction.Answer(
                        status: 400,
                        "expected one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))\n"
                    )
                }
                LogSetup.level = level
                logger.notice("log level changed", metadata: ["setting": "\(level.rawValue)"])
                return AdminAction.Answer("ok\n")
            },
        ]
    }
}
