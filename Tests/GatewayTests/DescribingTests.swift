import GrootCore
import HTTP2
import Synchronization
import Testing

@testable import Gateway

/// Checkpoints that come and go while workers are connected, and that the control plane hears of all of them.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct DescribingTests {
    private func withGateway(
        namesGeneration: Bool,
        _ body: (GatewayFixture, [ScriptedWorker]) async throws -> Void
    ) async throws {
        let workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
        var endpoints: [Endpoint] = []
        for worker in workers {
            worker.change { $0.namesGeneration = namesGeneration }
            endpoints.append(try await worker.start())
        }
        let gateway = try await GatewayFixture(workers: endpoints)
        #expect(await gateway.up(2))
        try await body(gateway, workers)
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func whatIsLoadedCanBeHadAndWhatIsUnloadedGetsNothing() async throws {
        try await withGateway(namesGeneration: true) { gateway, workers in
            workers[1].change { $0.checkpoints = ["a", "b"] }
            let began = MonotonicInstant.now()
            #expect(await eventually { gateway.dataPlane.workerStatuses[1].checkpoints == ["a", "b"] })
            #expect(MonotonicInstant.now() - began < .seconds(2), "a health check or an answer says it")
            for _ in 0..<4 {
                let response = try await gateway.infer(extra: [("groot-checkpoint", "b")])
                #expect(response.text == "w1")
            }
            #expect(gateway.reports.all.contains { $0.name == "w1" && $0.checkpoints == ["a", "b"] })
            workers[1].change { $0.checkpoints = ["a"] }
            #expect(await eventually { gateway.dataPlane.workerStatuses[1].checkpoints == ["a"] })
            let gone = try await gateway.infer(extra: [("groot-checkpoint", "b")])
            #expect(gone.grpcStatus == "5" && gone.grpcMessage.contains("served are: a"))
        }
    }

    /// A worker of before generations says only NOT_FOUND: another one that serves the checkpoint gets the request, and the
    /// first is asked what it serves.
    @Test
    func notFoundFromOneMeansElsewhere() async throws {
        try await withGateway(namesGeneration: false) { gateway, workers in
            workers[0].change {
                $0.checkpoints = ["other"]
                $0.behaviour = .status(5)
            }
            for round in 0..<20 {
                let response = try await gateway.infer(robot: "r\(round % 4)", extra: [("groot-checkpoint", "a")])
                #expect(response.text == "w1")
            }
            #expect(await eventually { gateway.dataPlane.workerStatuses[0].checkpoints == ["other"] })
            #expect(workers[0].requestCount <= 8)
        }
    }

    /// The control plane cannot store anything for a while: it is told until it can, and of what is new.
    @Test
    func everyDescriptionReachesTheControlPlaneHoweverLateItIsReady() async throws {
        try await withGateway(namesGeneration: true) { gateway, workers in
            let control = LateControl()
            let shared = gateway.dataPlane.shared
            let task = Task { try await WorkerReports(control: control) { shared.members }.run() }
            #expect(await eventually { control.asked >= 2 })
            workers[0].change { $0.checkpoints = ["a", "c"] }
            #expect(await eventually { gateway.dataPlane.workerStatuses[0].checkpoints == ["a", "c"] })
            control.becomesReady()
            #expect(await eventually { control.stored == ["w0": ["a", "c"], "w1": ["a"]] })
            workers[1].change { $0.checkpoints = ["d"] }
            #expect(await eventually { control.stored["w1"] == ["d"] })
            task.cancel()
            _ = await task.result
        }
    }
}

/// A control plane whose store comes late.
private final class LateControl: ControlPlaneService {
    private struct State {
        var isReady = false
        var asked = 0
        var stored: [String: [String]] = [:]
    }

    private let state = Mutex(State())
    var asked: Int { state.withLock { $0.asked } }
    var stored: [String: [String]] { state.withLock { $0.stored } }
    var endpoint: Endpoint { .tcp(host: "127.0.0.1", port: 1) }
    var notReadyReason: String? { nil }

    func run() async throws {}

    func becomesReady() { state.withLock { $0.isReady = true } }

    func workerDescribed(_ report: WorkerReport) async -> Bool {
        state.withLock {
            $0.asked += 1
            if $0.isReady { $0.stored[report.name] = report.checkpoints }
            return $0.isReady
        }
    }
}
