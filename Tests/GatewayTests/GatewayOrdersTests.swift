import GrootCore
import HTTP2
import Logging
import Testing

@testable import Gateway

/// Who may order what; the whole way with real certificates is in `Tests/Operation/test_certificates.py`.
struct GatewayOrdersTests {
    private static func orders(admin host: String = "127.0.0.1") -> (GatewayOrders, MetricsRegistry) {
        let registry = MetricsRegistry()
        var settings = GatewaySettings()
        settings.admin.host = host
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return (GatewayOrders(running: LatestValue(), settings: settings, registry: registry, logger: logger), registry)
    }

    private static func peer(_ identity: PeerIdentity?, isVerified: Bool = true) -> TLSPeer {
        TLSPeer(identity: identity, isVerified: isVerified, subject: "CN=x", serial: "1", version: "TLSv1.3")
    }

    private static func post(_ path: String, method: String = "POST") -> HTTP2Headers {
        HTTP2Headers([(":method", method), (":path", path)])
    }

    @Test(
        arguments: [
            ("/drain", .drainGateway), ("/workers/w1/drain", .drain(worker: "w1")),
            ("/workers/10.0.0.1:8090/undrain", .undrain(worker: "10.0.0.1:8090")),
            ("/workers/gpu%201/drain", .drain(worker: "gpu 1")), ("/log-level/debug", .logLevel("debug")),
            ("/", nil), ("", nil), ("/drain/", nil), ("/workers/w1", nil), ("/workers/w1/drain/now", nil),
            ("/state", nil),
            ("/groot.v1.Inference/Infer", nil),
        ] as [(String, GatewayOrders.Order?)]
    )
    func pathsSayWhatIsOrdered(path: String, order: GatewayOrders.Order?) {
        #expect(GatewayOrders.Order(path: path) == order)
    }

    /// 503: the order is obeyed as far as that is possible before the data plane runs.
    @Test(
        arguments: [
            (peer(PeerIdentity(.operator, "anna")), 503), (peer(PeerIdentity(.robot, "r1")), 403),
            (peer(PeerIdentity(.worker, "w1")), 403), (peer(PeerIdentity(.gateway, "g2")), 403), (peer(nil), 403),
            (peer(PeerIdentity(.operator, "anna"), isVerified: false), 403), (nil, 403),
        ] as [(TLSPeer?, Int)]
    )
    func onlyOperatorsOrder(_ peer: TLSPeer?, status: Int) {
        let (orders, registry) = Self.orders()
        #expect(orders.answer(Self.post("/drain"), from: peer)?.status == status)
        #expect(registry.render().contains("groot_gateway_orders_total{outcome=\"refused\"} \(status == 403 ? 1 : 0)"))
    }

    @Test func whatIsNoOrderIsLeftToOthers() {
        let (orders, _) = Self.orders()
        let anna = Self.peer(PeerIdentity(.operator, "anna"))
        #expect(orders.answer(Self.post("/groot.v1.Fleet/RegisterRobot"), from: anna) == nil)
        #expect(orders.answer(Self.post("/drain", method: "GET"), from: anna)?.status == 405)
    }

    @Test(arguments: [("127.0.0.1", 503), ("::1", 503), ("localhost", 503), ("0.0.0.0", 403), ("10.0.0.1", 403)])
    func theAdminListenerTakesOrdersOnLoopbackOnly(host: String, status: Int) {
        let (orders, _) = Self.orders(admin: host)
        #expect(orders.answer(admin: "/workers/w1/drain", fromWebPage: false).status == status)
        #expect(orders.answer(admin: "/workers/w1/drain", fromWebPage: true).status == 403)
    }
}
