import GRPCCore
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import Worker

/// What tells the gateway that Describe would answer something else now.
@Suite(.timeLimit(.minutes(1)))
struct GenerationTests {
    private func batcher(_ checkpoint: String) -> Batcher {
        Batcher(
            runner: ScriptedRunner(checkpoint: checkpoint),
            configuration: .init(maxWaiting: 4, maxBatch: 2),
            metrics: WorkerMetrics(registry: MetricsRegistry(), maxBatch: 2)
        )
    }

    @Test
    func `every change of what is described changes it, and nothing else does`() {
        let state = ServingState()
        var seen = [state.generation]
        func changed(_ what: String, _ change: () -> Void) {
            change()
            #expect(!seen.contains(state.generation), "\(what)")
            seen.append(state.generation)
        }
        changed("the first load") { state.loaded([batcher("one")]) }
        changed("another checkpoint") { _ = state.install(batcher("two")) }
        changed("an exchange under the same name") { _ = state.install(batcher("two")) }
        changed("an unload") { _ = state.remove("two") }
        changed("the same again") { _ = state.install(batcher("two")) }
        let before = state.generation
        _ = state.remove("nobody")
        state.availabilityChanged()
        state.loadChanged("three", to: nil)
        state.warming()
        #expect(state.generation == before)
        #expect(ServingState().generation != ServingState().generation, "a restart is seen")
    }

    @Test
    func `answers, refusals and health checks carry it`() async throws {
        try await WorkerHarness.run(load: { () throws(WorkerError) in [ScriptedRunner(checkpoint: "one")] }) { worker in
            try await serving(worker)
            func answered(_ checkpoint: String) async throws -> String? {
                var request = Groot_V1_InferRequest.scripted(robot: "r1")
                request.checkpoint = checkpoint
                return try await worker.inference.infer(request) { response in
                    let metadata =
                        switch response.accepted {
                        case .success: response.trailingMetadata
                        case .failure(let error): error.metadata
                        }
                    return Array(metadata[stringValues: MetadataKey.generation]).first
                }
            }
            func checked() async throws -> String? {
                try await worker.health.check(.init()) { response in
                    Array(response.trailingMetadata[stringValues: MetadataKey.generation]).first
                }
            }
            let first = "\(worker.state.generation)"
            #expect(try await [answered("one"), answered("two"), checked()] == [first, first, first])
            _ = worker.state.install(batcher("two"))
            let second = "\(worker.state.generation)"
            #expect(second != first)
            #expect(try await [answered("one"), answered("two"), checked()] == [second, second, second])
            // Unloaded: the very next answer says so, and that it is elsewhere.
            _ = worker.state.remove("two")
            let third = "\(worker.state.generation)"
            #expect(try await [answered("two"), checked()] == [third, third])
            var request = Groot_V1_InferRequest.scripted(robot: "r1")
            request.checkpoint = "two"
            await refused(worker, request, .notFound, "served: [\"one\"]")
        }
    }
}
