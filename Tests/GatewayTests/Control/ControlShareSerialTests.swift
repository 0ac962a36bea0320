import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootStore
import HTTP2
import Logging
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization
import Testing

@testable import Gateway

/// One participant that holds as many control calls open as it can, beside a worker that renews its lease.
///
/// The database is away all the time: what keeps the control plane busiest.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct ControlShareSerialTests {
    private let lease = Duration.milliseconds(1500)

    /// How somebody fills up the control plane.
    enum Flood: String, CaseIterable, Sendable {
        /// Headers and no body, all of one robot.
        case unfinishedOfOneRobot
        /// The same under a new name each time: only the network is a fence then.
        case unfinishedOfEverybody
        /// The same without a name.
        case unfinishedOfNobody
        /// Registrations of workers that never say which.
        case unfinishedLeases
        /// Whole calls whose answer never ends.
        case watches

        var path: String {
            switch self {
            case .unfinishedOfOneRobot, .unfinishedOfEverybody, .unfinishedOfNobody: "/groot.v1.Fleet/RegisterRobot"
            case .unfinishedLeases: "/groot.v1.Fleet/RegisterWorker"
            case .watches: "/grpc.health.v1.Health/Watch"
            }
        }

        func robot(_ number: Int) -> String? {
            switch self {
            case .unfinishedOfOneRobot, .watches: "evil"
            case .unfinishedOfEverybody: "evil\(number)"
            case .unfinishedOfNobody, .unfinishedLeases: nil
            }
        }

        var isWhole: Bool { self == .watches }
    }

    @Test(arguments: Flood.allCases)
    func aLeaseIsRenewedBesideHundredsOfOpenCalls(_ flood: Flood) async throws {
        let worker = ScriptedWorker("w1")
        let address = "\(try await worker.start())"
        try await withGateway { gateway, fleet in
            _ = try await fleet.registerWorker(register("w1", address))
            #expect(await gateway.up(1))
            let floods = Floods()
            for number in 0..<4 {
                try await floods.open(120, flood, first: number * 120, to: gateway.address)
            }
            // For three leases: each is renewed in time, and requests are answered all along.
            let until = MonotonicInstant.now() + lease * 3
            var renewals = 0
            while MonotonicInstant.now() < until {
                _ = try await fleet.registerWorker(register("w1", address))
                #expect(try await gateway.infer().text == "w1")
                renewals += 1
            }
            #expect(renewals > 3 && gateway.dataPlane.notReadyReason == nil)
            // An honest robot is heard; only the database keeps it from being stored.
            let heard = await #expect(throws: RPCError.self) {
                try await fleet.registerRobot(FleetSample.register("r1"), metadata: ["groot-robot": "r1"])
            }
            #expect(heard?.message.contains("database") == true || heard?.code == .resourceExhausted, "\(heard as Any)")
            try await floods.close()
        }
        try await worker.stop()
    }

    private func register(_ worker: String, _ address: String) -> Groot_V1_RegisterWorkerRequest {
        .with {
            $0.worker = worker
            $0.address = address
        }
    }

    private typealias Fleet = Groot_V1_Fleet.Client<HTTP2ClientTransport.Posix>

    private func withGateway(_ body: @Sendable (GatewayFixture, Fleet) async throws -> Void) async throws {
        var settings = WorkerDirectory.Configuration()
        settings.lease = lease
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let directory = WorkerDirectory(settings, logger: logger)
        let store = Store(
            configuration: .init(location: .server(url: "postgresql://nobody@127.0.0.1:1/none", migrate: false)),
            logger: logger,
            metrics: MetricsRegistry()
        )
        let control = try FleetControlPlane(
            store: store,
            gateway: "g1",
            directory: directory,
            metrics: MetricsRegistry(),
            logger: logger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await control.run() }
            group.addTask { try await directory.run() }
            // One loop: every call shares one connection to the control plane.
            let gateway = try await GatewayFixture(workers: [], control: try await control.endpoint) {
                $0.eventLoops = 1
            }
            directory.attach(to: gateway.dataPlane)
            guard case .tcp(let host, let port) = gateway.address else { return }
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: host, port: port),
                transportSecurity: .plaintext
            )
            try await withGRPCClient(transport: transport) { client in
                try await body(gateway, Groot_V1_Fleet.Client(wrapping: client))
            }
            try await gateway.stop()
            group.cancelAll()
            // Both end with the cancellation that was asked for.
            try? await group.waitForAll()
        }
    }
}

/// Connections whose calls stay open for as long as the other side lets them.
private final class Floods: Sendable {
    private final class Silent: HTTP2StreamHandler {
        func received(headers: HTTP2Headers) {}
        func received(body: ByteBuffer) {}
        func received(trailers: HTTP2Headers) {}
        func receivedEnd() {}
        func bodyLeft(byteCount: Int) {}
        func closed(_ closure: HTTP2StreamClosure) {}
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let connections = Mutex<[NIOLoopBound<HTTP2Connection>]>([])

    func open(_ count: Int, _ flood: ControlShareSerialTests.Flood, first: Int, to address: GrootCore.Endpoint)
        async throws
    {
        let loop = group.next()
        let ready = loop.makePromise(of: Void.self)
        let connection = try await loop.submit {
            var observer = HTTP2Connection.Observer()
            observer.ready = { ready.succeed() }
            observer.closed = { ready.fail(HTTP2Error(.connectionClosed, $0)) }
            return NIOLoopBound(HTTP2Client.connect(to: address, on: loop, observer: observer), eventLoop: loop)
        }.get()
        try await ready.futureResult.get()
        connections.withLock { $0.append(connection) }
        try await loop.submit {
            for number in first..<first + count {
                var headers = HTTP2Headers([
                    (":method", "POST"), (":scheme", "http"), (":path", flood.path), (":authority", "gateway"),
                    ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "60S"),
                ])
                if let robot = flood.robot(number) { headers.add("groot-robot", robot) }
                let stream = try connection.value.open(headers: headers, endStream: false, handler: Silent())
                guard flood.isWhole else { continue }
                // An empty message: watch the gateway itself.
                stream.send(body: ByteBuffer(bytes: [0, 0, 0, 0, 0]))
                stream.finish()
            }
        }.get()
    }

    func close() async throws {
        for connection in connections.withLock({ $0 }) {
            try await connection.eventLoop.submit { connection.value.abort() }.get()
        }
        try await group.shutdownGracefully()
    }
}
