import Foundation
import GrootCore
import HTTP2
import Logging

/// What an operator may order of a running gateway, and who may. Any thread.
///
/// A fleet with certificates takes orders on the data plane only, from an operator's certificate: a robot, a worker, or
/// an account on the gateway's machine cannot stop what others need. Without certificates the admin listener takes them
/// as long as it is on loopback; then whoever is on the machine is the operator.
struct GatewayOrders: Sendable {
    enum Order: Equatable, Sendable {
        case drain(worker: String)
        case undrain(worker: String)
        case drainGateway
        case logLevel(String)

        /// Nil when the path names no order.
        init?(path: String) {
            // Asked for every request of a robot, whose path is none of these.
            guard ["/drain", "/workers/", "/log-level/"].contains(where: path.hasPrefix) else { return nil }
            let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
            switch (parts.count, parts.first, parts.last) {
            case (1, "drain", _): self = .drainGateway
            case (2, "log-level", let level?): self = .logLevel(level)
            case (3, "workers", "drain"): self = .drain(worker: parts[1].removingPercentEncoding ?? parts[1])
            case (3, "workers", "undrain"): self = .undrain(worker: parts[1].removingPercentEncoding ?? parts[1])
            default: return nil
            }
        }
    }

    /// An HTTP status and a sentence.
    struct Answer: Equatable, Sendable {
        var status: Int
        var text: String
    }

    /// The routes of the admin listener; the same paths on the data plane.
    static let paths = ["/workers/:name/drain", "/workers/:name/undrain", "/drain", "/log-level/:name"]

    let running: LatestValue<DataPlane>
    /// Why the admin listener takes no orders; nil when it does.
    let adminRefusal: String?
    private let obeyed: Counter
    private let refused: Counter
    private let logger: Logger

    init(running: LatestValue<DataPlane>, settings: GatewaySettings, registry: MetricsRegistry, logger: Logger) {
        self.running = running
        self.logger = logger
        let instead = "; send it to \(settings.gateway.listen) over TLS with an operator's certificate"
        if settings.gateway.tls?.configuration.authority != nil {
            adminRefusal = "a fleet with certificates takes orders from operators' certificates only" + instead
        } else if !Self.isLoopback(settings.admin.host) {
            adminRefusal = "the admin listener is not on loopback and knows nobody" + instead
        } else {
            adminRefusal = nil
        }
        func counter(_ outcome: String) -> Counter {
            registry.counter(
                "groot_gateway_orders_total",
                help: "Orders to drain, serve again or log otherwise, by what came of them.",
                labels: ["outcome": outcome]
            )
        }
        obeyed = counter("obeyed")
        refused = counter("refused")
    }

    /// An order over the data plane. Nil when the request is none.
    func answer(_ headers: HTTP2Headers, from peer: TLSPeer?) -> Answer? {
        guard let path = headers[":path"], let order = Order(path: path) else { return nil }
        guard headers[":method"] == "POST" else { return Answer(status: 405, text: "orders are POST\n") }
        guard let peer, peer.isVerified, let identity = peer.identity, identity.kind == .operator else {
            let who = peer?.identity.map { "the certificate of \($0) gives no right to order" }
            return refuse(path, who ?? "orders need an operator's certificate")
        }
        return carryOut(order, by: "\(identity)")
    }

    /// An order over the admin listener.
    func answer(admin path: String, fromWebPage: Bool) -> Answer {
        guard let order = Order(path: path) else { return Answer(status: 404, text: "no such order\n") }
        guard !fromWebPage else { return refuse(path, "not from a web page") }
        if let adminRefusal { return refuse(path, adminRefusal) }
        return carryOut(order, by: "loopback")
    }

    private func refuse(_ path: String, _ why: String) -> Answer {
        refused.increment()
        logger.warning("order refused", metadata: ["setting": "\(path)", "error": "\(why)"])
        return Answer(status: 403, text: why + "\n")
    }

    private func carryOut(_ order: Order, by who: String) -> Answer {
        guard let dataPlane = running.peek() else { return Answer(status: 503, text: "the gateway is starting\n") }
        func drain(_ worker: String, _ drains: Bool) -> Answer? {
            dataPlane.drain(worker, drains) ? nil : Answer(status: 404, text: "there is no worker \"\(worker)\"\n")
        }
        var answer = Answer(status: 200, text: "ok\n")
        switch order {
        case .drain(let worker):
            if let missing = drain(worker, true) { return missing }
            logger.notice("drains by order", metadata: ["worker": "\(worker)", "peer": "\(who)"])
        case .undrain(let worker):
            if let missing = drain(worker, false) { return missing }
            logger.notice("serves again by order", metadata: ["worker": "\(worker)", "peer": "\(who)"])
        case .drainGateway:
            logger.notice("ends by order", metadata: ["peer": "\(who)"])
            // The same way as an operator's SIGTERM, with the same budget.
            kill(getpid(), SIGTERM)
            answer = Answer(status: 202, text: "draining\n")
        case .logLevel(let name):
            guard let level = Logger.Level(rawValue: name) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                return Answer(status: 400, text: "expected one of \(known)\n")
            }
            LogSetup.level = level
            logger.notice("log level changed", metadata: ["setting": "\(level.rawValue)", "peer": "\(who)"])
        }
        obeyed.increment()
        return answer
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}
