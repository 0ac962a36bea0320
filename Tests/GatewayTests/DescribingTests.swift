import GrootCore
import HTTP2
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
            // Two idle workers are equal: until the first has been tried, too.
            for round in 0..<400 where round < 20 || workers[0].requestCount == 0 {
                let response = try await gateway.infer(robot: "r\(round % 4)", extra: [("groot-checkpoint", "a")])
                #expect(response.text == "w1")
            }
            #expect(await eventually { gateway.dataPlane.workerStatuses[0].checkpoints == ["other"] })
            #expect(workers[0].requestCount <= 8)
        }
    }

    /// What a worker says of itself is bounded, and it serves all the same: nothing of it is believed, nobody else notices.
    @Test
    func absurdDescriptionsAreNotTaken() async throws {
        try await withGateway(namesGeneration: true) { gateway, workers in
            for absurd in [
                Array(repeating: "", count: 200_000), (0..<300).map { "c\($0)" },
                [String(repeating: "n", count: 100_000)], ["a", String(repeating: "n", count: 257)],
            ] {
                let asked = workers[0].now.descriptions
                workers[0].change { $0.checkpoints = absurd }
                #expect(await eventually { workers[0].now.descriptions > asked })
                for robot in 0..<4 {
                    let response = try await gateway.infer(robot: "r\(robot)", extra: [("groot-checkpoint", "a")])
                    #expect(response.grpcStatus == "0")
                }
                #expect(gateway.dataPlane.workerStatuses[0].checkpoints == ["a"], "the last one that was believed")
            }
            let most = (0..<256).map { "c\($0)" }
            workers[0].change { $0.checkpoints = most }
            #expect(await eventually { gateway.dataPlane.workerStatuses[0].checkpoints == most })
        }
    }

    /// Every description reaches the control plane, which keeps it until the database has it (`WorkerMemory`).
    @Test
    func everyDescriptionIsTold() async throws {
        try await withGateway(namesGeneration: true) { gateway, workers in
            func told() -> [String] {
                gateway.reports.all.map { "\($0.name) \($0.checkpoints.joined(separator: " "))" }.sorted()
            }
            #expect(await eventually { told() == ["w0 a", "w1 a"] })
            workers[0].change { $0.checkpoints = ["a", "c"] }
            #expect(await eventually { told() == ["w0 a", "w0 a c", "w1 a"] })
            workers[1].change { $0.checkpoints = ["d"] }
            #expect(await eventually { told() == ["w0 a", "w0 a c", "w1 a", "w1 d"] })
        }
    }
}
