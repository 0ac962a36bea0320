import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootTesting
import SwiftProtobuf
import Testing

@testable import Worker

/// What a worker says and refuses while it loads, serves and drains; with scripted runtimes.
@Suite(.timeLimit(.minutes(1)))
struct ServingTests {
    @Test
    func `a newer observation supersedes a waiting one over the wire`() async throws {
        let runner = ScriptedRunner(open: false)
        try await WorkerHarness.run(load: { () throws(WorkerError) in [runner] }) { worker in
            try await serving(worker)
            async let running = worker.inference.infer(.scripted(robot: "busy"))
            try await eventually("an inference runs") { await runner.isHolding }
            let older = Task { try await worker.inference.infer(.scripted(robot: "r1", observation: 6)) }
            try await eventually("one waits") { worker.metric("groot_worker_waiting_requests") == "1.0" }
            async let newer = worker.inference.infer(.scripted(robot: "r1", left: 5, observation: 7))
            let error = await #expect(throws: RPCError.self) { try await older.value }
            #expect(error?.code == .aborted)
            #expect(error?.message == "superseded by observation 7")
            await runner.open()
            #expect(try await newer.values.first == 5)
            _ = try await running
        }
    }

    @Test
    func `a full queue answers RESOURCE_EXHAUSTED`() async throws {
        let runner = ScriptedRunner(open: false)
        try await WorkerHarness.run(maxWaiting: 1, load: { () throws(WorkerError) in [runner] }) { worker in
            try await serving(worker)
            async let running = worker.inference.infer(.scripted(robot: "r0"))
            try await eventually("an inference runs") { await runner.isHolding }
            async let waiting = worker.inference.infer(.scripted(robot: "r1"))
            try await eventually("one waits") { worker.metric("groot_worker_waiting_requests") == "1.0" }
            await refused(worker, .scripted(robot: "r2"), .resourceExhausted, "Retry")
            let error = await #expect(throws: RPCError.self) {
                _ = try await worker.inference.infer(.scripted(robot: "r2"))
            }
            for key in ["grpc-retry-pushback-ms", "groot-next-observation-after-ms"] {
                let value = try #require(error?.metadata[stringValues: key].first { _ in true })
                #expect(Int64(value).map { $0 > 0 } == true, "\(key): \(value)")
            }
            #expect(error?.metadata[stringValues: "endpoint-load-metrics"].first { $0.contains("queue=1") } != nil)
            await runner.open()
            _ = try await (running, waiting)
        }
    }

    @Test
    func `a deadline ends the call and is not run later`() async throws {
        let runner = ScriptedRunner(open: false)
        try await WorkerHarness.run(load: { () throws(WorkerError) in [runner] }) { worker in
            try await serving(worker)
            async let running = worker.inference.infer(.scripted(robot: "r0"))
            try await eventually("an inference runs") { await runner.isHolding }
            let error = await #expect(throws: RPCError.self) {
                _ = try await worker.inference.infer(.scripted(robot: "r1"), options: .quick)
            }
            #expect(error?.code == .deadlineExceeded)
            try await eventually("the server counted it") {
                // The client's reset may arrive before the server's own clock says so.
                ["deadlineExceeded", "cancelled"].contains {
                    worker.metric("groot_worker_requests_total{outcome=\"\($0)\"}") == "1"
                }
            }
            await runner.open()
            _ = try await running
            #expect(await runner.batches.count == 1)
        }
    }

    @Test
    func `a lost GPU ends the worker, which says so before`() async throws {
        let runner = ScriptedRunner(open: true)
        let lost = WorkerError(.deviceLost, "Checkpoint tiny has lost its GPU.")
        do {
            try await WorkerHarness.run(load: { () throws(WorkerError) in [runner] }) { worker in
                try await serving(worker)
                worker.state.fail(lost)
                worker.state.fail(WorkerError(.deviceLost, "a later one"))
                #expect(!worker.state.isServing)
                #expect(worker.state.phase == .draining)
                let refused = await #expect(throws: RPCError.self) {
                    try await worker.inference.infer(.scripted(robot: "r1"))
                }
                #expect(refused?.code == .unavailable)
            }
            Issue.record("the worker went on")
        } catch let error as WorkerError {
            #expect(error.message == lost.message)
        }
    }

    @Test
    func `two checkpoints are selected by name`() async throws {
        let runners = [ScriptedRunner(checkpoint: "one"), ScriptedRunner(checkpoint: "two")]
        try await WorkerHarness.run(load: { () throws(WorkerError) in runners }) { worker in
            try await serving(worker)
            await refused(worker, .scripted(robot: "r1"), .notFound, "[\"one\", \"two\"]")
            var request = Groot_V1_InferRequest.scripted(robot: "r1")
            request.checkpoint = "two"
            #expect(try await worker.inference.infer(request).checkpoint == "two")
        }
    }

    @Test
    func `not serving until loaded, not serving while draining, running calls finish`() async throws {
        let runner = ScriptedRunner(open: false)
        let (loaded, finishLoading) = AsyncStream<Void>.makeStream()
        let load: @Sendable () async throws(WorkerError) -> [any PolicyRuntime] = { () throws(WorkerError) in
            for await _ in loaded { break }
            return [runner]
        }
        try await WorkerHarness.run(load: load) { worker in
            #expect(try await worker.health.check(.init()).status == .notServing)
            await refused(worker, .scripted(robot: "r1"), .unavailable, "still being loaded")
            finishLoading.finish()
            try await serving(worker)

            let named = Grpc_Health_V1_HealthCheckRequest.with { $0.service = "groot.v1.Inference" }
            #expect(try await worker.health.check(named).status == .serving)
            let stranger = Grpc_Health_V1_HealthCheckRequest.with { $0.service = "nobody" }
            let unknown = await #expect(throws: RPCError.self) { _ = try await worker.health.check(stranger) }
            #expect(unknown?.code == .notFound)

            let watched = Task {
                try await worker.health.watch(.init()) { response in
                    try await response.messages.reduce(into: []) { $0.append($1.status) }
                }
            }
            async let running = worker.inference.infer(.scripted(robot: "r1", left: 3))
            try await eventually("an inference runs") { await runner.isHolding }
            await worker.drain()
            #expect(try await watched.value.last == .notServing)
            #expect(worker.state.notReadyReason == "the worker is draining")
            await runner.open()
            #expect(try await running.values.first == 3)
        }
    }

    @Test
    func `a checkpoint that cannot be loaded stops the worker`() async throws {
        let error = await #expect(throws: WorkerError.self) {
            try await WorkerHarness.run(
                load: { () throws(WorkerError) in throw WorkerError(.badCheckpoint, "bad") },
                { worker in
                    try await eventually("the client notices") {
                        do {
                            _ = try await worker.health.check(.init(), options: .quick)
                            return false
                        } catch {
                            return true
                        }
                    }
                }
            )
        }
        #expect(error?.code == .badCheckpoint)
    }
}

extension CallOptions {
    fileprivate static var quick: CallOptions {
        var options = CallOptions.defaults
        // Long enough for the request to arrive on a busy machine.
        options.timeout = .seconds(1)
        return options
    }
}
