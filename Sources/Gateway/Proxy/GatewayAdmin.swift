import Foundation
import GrootCore
import HTTPTypes
import Hummingbird
import Logging

/// What the gateway's admin listener offers beside health, metrics and dashboard: the state, and orders.
///
/// Orders are POST. One that comes from a web page (it has an Origin) is refused, so that a page which an operator
/// visits cannot drain the gateway behind their back.
struct GatewayAdmin: Sendable {
    let running: LatestValue<DataPlane>
    let logger: Logger

    func add(to router: Router<BasicRequestContext>) {
        router.get("/state") { [running] _, _ -> Response in
            guard let dataPlane = running.peek() else { return Self.starting }
            return Self.answer(.ok, dataPlane.state().json(), type: "application/json; charset=utf-8")
        }
        order(router, "/workers/:name/drain") { drain($0, true) }
        order(router, "/workers/:name/undrain") { drain($0, false) }
        order(router, "/drain") { _ in
            // The same way as an operator's SIGTERM, with the same budget.
            kill(getpid(), SIGTERM)
            return Self.answer(.accepted, "draining\n")
        }
        order(router, "/log-level/:name") { name in
            guard let level = Logger.Level(rawValue: name) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                return Self.answer(.badRequest, "expected one of \(known)\n")
            }
            LogSetup.level = level
            logger.notice("log level changed", metadata: ["setting": "\(level.rawValue)"])
            return Self.answer(.ok, "ok\n")
        }
    }

    private func order(
        _ router: Router<BasicRequestContext>,
        _ path: RouterPath,
        _ run: @escaping @Sendable (String) -> Response
    ) {
        router.post(path) { request, context -> Response in
            guard request.headers[.origin] == nil else { return Self.answer(.forbidden, "not from a web page\n") }
            return run(context.parameters.get("name")?.removingPercentEncoding ?? "")
        }
    }

    private func drain(_ worker: String, _ drains: Bool) -> Response {
        guard let dataPlane = running.peek() else { return Self.starting }
        guard dataPlane.drain(worker, drains) else {
            return Self.answer(.notFound, "there is no worker \"\(worker)\"\n")
        }
        logger.notice(drains ? "drains by order" : "serves again by order", metadata: ["worker": "\(worker)"])
        return Self.answer(.ok, "ok\n")
    }

    private static var starting: Response { answer(.serviceUnavailable, "the gateway is starting\n") }

    private static func answer(
        _ status: HTTPResponse.Status,
        _ text: String,
        type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status,
            headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text))
        )
    }
}
