import GrootCore
import HTTPTypes
import Hummingbird

/// What the gateway's admin listener offers beside health, metrics and dashboard: the state, and orders.
///
/// Orders are POST. One that comes from a web page (it has an Origin) is refused, so that a page which an operator
/// visits cannot drain the gateway behind their back. Who may order otherwise: `GatewayOrders`.
struct GatewayAdmin: Sendable {
    let running: LatestValue<DataPlane>
    let orders: GatewayOrders

    func add(to router: Router<BasicRequestContext>) {
        router.get("/state") { [running] _, _ -> Response in
            guard let dataPlane = running.peek() else {
                return Self.answer(.serviceUnavailable, "the gateway is starting\n")
            }
            return Self.answer(.ok, dataPlane.state().json(), type: "application/json; charset=utf-8")
        }
        for path in GatewayOrders.paths {
            router.post(RouterPath(path)) { [orders] request, _ -> Response in
                let answer = orders.answer(admin: request.uri.path, fromWebPage: request.headers[.origin] != nil)
                return Self.answer(.init(code: answer.status), answer.text)
            }
        }
    }

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
