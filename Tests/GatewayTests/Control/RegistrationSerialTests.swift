import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootStore
import Logging
import SwiftProtobuf
import Testing

@testable import Gateway

/// `RegisterWorker` as a worker calls it: gRPC to the gateway's front door, which passes it to the control plane. The
/// database is away all the time, which must not keep workers out.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct RegistrationSerialTests {
    private let lease = Duration.milliseconds(1500)

    @Test
    func aWorkerJoinsStaysWhileItRenewsAndIsForgottenWhenItDoesNot() async throws {
        let worker = ScriptedWorker("w1")
        let address = "\(try await worker.start())"
        try await withGateway { gateway, fleet in
            #expect(gateway.dataPlane.notReadyReason?.contains("no worker") == true)
            let answer = try await fleet.registerWorker(register("w1", address))
            #expect(answer.leaseNs == UInt64(lease.nanoseconds))
            #expect(await gateway.up(1))
            #expect(gateway.dataPlane.state().workers.map(\.source) == ["registered"])
            // For two leases, as long as it repeats itself.
            let until = MonotonicInstant.now() + lease * 2
            while MonotonicInstant.now() < until {
                _ = try await fleet.registerWorker(register("w1", address))
                #expect(try await gateway.infer().text == "w1")
            }
            // It falls silent with a request in hand: that one is answered, and then nobody is there.
            worker.change { $0.behaviour = .answer(after: .seconds(3)) }
            let last = Task { try await gateway.infer(timeout: "15S") }
            #expect(await eventually { gateway.dataPlane.workerStatuses.isEmpty })
            #expect(try await last.value.text == "w1")
            #expect(gateway.dataPlane.notReadyReason?.contains("no worker") == true)
            worker.change { $0.behaviour = .answer(after: .zero) }
            _ = try await fleet.registerWorker(register("w1", address))
            #expect(await gateway.up(1))
            let goodbye = try await fleet.registerWorker(register("w1", address, leaving: true))
            #expect(goodbye.leaseNs == 0 && gateway.dataPlane.workerStatuses.isEmpty)
        }
        try await worker.stop()
    }

    @Test
    func whatMakesNoSenseIsRefusedOverTheWire() async throws {
        try await withGateway { gateway, fleet in
            for (request, code, part) in [
                (register("w 1", "gpu1"), .invalidArgument, "worker:"),
                (register("w1", "0.0.0.0"), .invalidArgument, "address:"),
                (register("w1", "gpu1:port"), .invalidArgument, "address:"),
            ] as [(Groot_V1_RegisterWorkerRequest, RPCError.Code, String)] {
                let error = await #expect(throws: RPCError.self) { try await fleet.registerWorker(request) }
                #expect(error?.code == code && error?.message.hasPrefix(part) == true)
            }
            _ = try await fleet.registerWorker(register("w1", "127.0.0.1:1"))
            let taken = await #expect(throws: RPCError.self) {
                try await fleet.registerWorker(register("w2", "127.0.0.1:1"))
            }
            #expect(taken?.code == .alreadyExists && taken?.message.contains("\"w1\"") == true)
            #expect(gateway.dataPlane.workerStatuses.count == 1)
        }
    }

    private func register(_ worker: String, _ address: String, leaving: Bool = false)
        -> Groot_V1_RegisterWorkerRequest
    {
        .with {
            $0.worker = worker
            $0.address = address
            $0.leaving = leaving
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
            let gateway = try await GatewayFixture(workers: [], control: try await control.endpoint)
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
