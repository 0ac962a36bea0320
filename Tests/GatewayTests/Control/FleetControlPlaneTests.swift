import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GRPCProtobuf
import GrootAPI
import GrootCore
import GrootStore
import Logging
import SwiftProtobuf
import Testing

@testable import Gateway

/// The control plane on a real socket over a real database.
@Suite(.enabled(if: ControlDatabase.mayRun, "PostgreSQL is not installed"))
struct FleetControlPlaneTests {
    @Test func repliesMeanCommitted() async throws {
        try await ControlDatabase.use("committed") { database in
            try await database.serving { store, client in
                let fleet = Groot_V1_Fleet.Client(wrapping: client)
                let episode = UUID()
                _ = try await fleet.registerRobot(FleetSample.register("r1"), metadata: ["groot-robot": "r1"])
                // Telemetry overtakes the start of its episode.
                let first = try await fleet.reportTelemetry(FleetSample.telemetry("r1", 1..<3, episode: episode))
                #expect(first.committedSequence == 2)
                _ = try await fleet.startEpisode(FleetSample.start("r1", episode))
                let second = try await fleet.reportTelemetry(FleetSample.telemetry("r1", 2..<4, episode: episode))
                #expect(second.committedSequence == 3)
                _ = try await fleet.finishEpisode(FleetSample.finish("r1", episode))
                _ = try await fleet.finishEpisode(FleetSample.finish("r1", episode))
                let empty = try await fleet.reportTelemetry(FleetSample.telemetry("r1", 0..<0))
                #expect(empty.committedSequence == 0)
                let metrics = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute("SELECT robot, outcome, chunks, recorded_chunks FROM episode_metrics").rows
                        .map(\.values)
                }
                #expect(metrics == [["r1", "success", "3", "3"]])

                let impostor = await #expect(throws: RPCError.self) {
                    try await fleet.startEpisode(FleetSample.start("r1", UUID()), metadata: ["groot-robot": "r2"])
                }
                #expect(impostor?.code == .permissionDenied)
                let stolen = await #expect(throws: RPCError.self) {
                    try await fleet.finishEpisode(FleetSample.finish("r2", episode))
                }
                #expect(stolen?.code == .failedPrecondition)
                let nameless = await #expect(throws: RPCError.self) {
                    try await fleet.reportTelemetry(.with { $0.robot = "r1" })
                }
                #expect(nameless?.code == .invalidArgument)
                #expect(nameless?.message == "boot: must not be empty")
            }
        }
    }

    @Test func outageIsUnavailableAndPasses() async throws {
        try await ControlDatabase.use("outage") { database in
            try await database.serving { store, client in
                let fleet = Groot_V1_Fleet.Client(wrapping: client)
                let health = Grpc_Health_V1_Health.Client(wrapping: client)
                let watched = WatchedHealth()
                let watching = Task {
                    try await health.watch(.with { $0.service = "groot.v1.Fleet" }) { response in
                        for try await message in response.messages { watched.saw(message.status) }
                    }
                }
                defer { watching.cancel() }
                _ = try await fleet.reportTelemetry(FleetSample.telemetry("r1", 0..<5))
                #expect(try await health.check(.with { $0.service = "groot.v1.Fleet" }).status == .serving)
                try await reached("the watch saw it serve") { watched.statuses == [.serving] }

                await database.stop()
                let refused = await #expect(throws: RPCError.self) {
                    try await fleet.reportTelemetry(FleetSample.telemetry("r1", 5..<10))
                }
                #expect(refused?.code == .unavailable)
                #expect(refused?.message.contains("try again") == true)
                try await reached("the store notices") { store.notReadyReason != nil }
                #expect(try await health.check(.with { $0.service = "groot.v1.Fleet" }).status == .notServing)
                #expect(try await health.check(.init()).status == .serving)
                // A watch looks now and then: an outage shorter than that is none to it.
                try await reached("the watch saw it down") { watched.statuses == [.serving, .notServing] }

                await database.start()
                try await reached("the store recovers") { store.notReadyReason == nil }
                let answer = try await fleet.reportTelemetry(FleetSample.telemetry("r1", 0..<10))
                #expect(answer.committedSequence == 9)
                let count = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute("SELECT count(*) FROM inferences").rows[0].integer(0)
                }
                #expect(count == 10)
                try await reached("the watch saw it come back") {
                    watched.statuses == [.serving, .notServing, .serving]
                }
            }
        }
    }

    @Test func workersAreRemembered() async throws {
        try await ControlDatabase.use("workers") { database in
            try await database.serving { store, _, control in
                let policy = Groot_V1_Policy.with {
                    $0.checkpoint = "groot-mini"
                    $0.policyType = "groot_mini"
                    $0.sha256 = "abc"
                    $0.runtime = "onnx"
                    $0.inputs = [
                        .with {
                            $0.key = "observation.state"
                            $0.shape = [16]
                        }
                    ]
                    $0.output = .with {
                        $0.key = "action"
                        $0.shape = [16]
                    }
                    $0.chunkSize = 16
                    $0.actionPeriodNs = 100_000_000
                }
                let report = WorkerReport(name: "w1", address: .tcp(host: "127.0.0.1", port: 8090), policies: [policy])
                control.workerDescribed(report)
                control.workerDescribed(report)
                let saved = "SELECT count(*) FROM worker_checkpoints"
                try await reachedEventually("it is saved") {
                    try await store.withConnection("test") { (connection) throws(StoreError) in
                        try connection.execute(saved).rows[0].values
                    } == ["1"]
                }
                let found = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute(
                        """
                        SELECT worker, address, name, features #>> '{output,action,shape,0}'
                        FROM workers JOIN worker_checkpoints USING (worker)
                        JOIN checkpoints ON sha256 = checkpoint_sha256
                        """
                    ).rows.map(\.values)
                }
                #expect(found == [["w1", "127.0.0.1:8090", "groot-mini", "16"]])
            }
        }
    }

    @Test func unknownServiceIsNotFound() async throws {
        let service = HealthService { nil }
        #expect(HealthService.fleet == Groot_V1_Fleet.descriptor.fullyQualifiedService)
        let context = ServerContext(
            descriptor: Grpc_Health_V1_Health.Method.Check.descriptor,
            remotePeer: "test",
            localPeer: "test",
            cancellation: .init()
        )
        let error = await #expect(throws: RPCError.self) {
            try await service.check(request: .with { $0.service = "other" }, context: context)
        }
        #expect(error?.code == .notFound)
    }
}
