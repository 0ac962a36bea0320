import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootImaging
import GrootTesting
import SwiftProtobuf
import Testing

@testable import Worker

@Suite(.timeLimit(.minutes(1)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct InferenceServiceTests {
    private static let load: @Sendable () async throws(WorkerError) -> [any PolicyRuntime] = { () throws(WorkerError) in
        [try await TestRuntime.load("tiny")]
    }

    /// Mean of black image a, of white image b times ten, and the task bytes of "ab" over 1000.
    private static let offset: Float = 0 + 10 + (97 + 98) / 1000

    @Test
    func `the answer is the model's, with every echo`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            var request = Groot_V1_InferRequest.tiny(task: "AB")
            request.observationIndex = 41
            request.capturedTick = 42
            request.capturedAtNs = 43
            let began = ContinuousClock.now
            let answer = try await worker.inference.infer(request)
            let took = ContinuousClock.now - began

            #expect(answer.rows == 4)
            #expect(answer.actionNames == ["left", "right", "claw_position"])
            for row in 0..<4 {
                for (column, state) in [Float(1), 2, 3].enumerated() {
                    let expected = state + 0.01 * Float(row) + Self.offset
                    #expect(abs(answer.values[row * 3 + column] - expected) < 1e-4, "row \(row), column \(column)")
                }
            }
            #expect(answer.requestID == "request-r1")
            #expect(answer.observationIndex == 41)
            #expect(answer.capturedTick == 42)
            #expect(answer.capturedAtNs == 43)
            #expect(answer.worker == "w1")
            #expect(answer.checkpoint == "tiny")
            #expect(answer.checkpointSha256.count == 64)
            #expect(answer.actionPeriodNs == 100_000_000)
            #expect(answer.batchSize == 1)
            let times = answer.timings
            #expect(times.inferNs > 0 && times.decodeNs > 0 && times.preprocessNs > 0 && times.encodeNs > 0)
            let sum =
                times.queueNs + times.decodeNs + times.preprocessNs + times.inferNs + times.postprocessNs
                + times.encodeNs
            #expect(Int64(sum) <= took.nanoseconds)
            // From the decoded request to the finished answer: the stages leave nothing out.
            func seconds(_ stage: String) throws -> Double {
                let text = worker.metric("groot_worker_stage_seconds_sum{stage=\"\(stage)\"}")
                return try #require(text.flatMap { Double($0) }, "\(stage)")
            }
            let stages = try ["queue", "decode", "preprocess", "infer", "postprocess"].map(seconds).reduce(0, +)
            #expect(abs(stages - (try seconds("total"))) < 1e-5)
            #expect(worker.metric("groot_worker_requests_total{outcome=\"answered\"}") == "1")
        }
    }

    @Test
    func `prefix rows are frozen, rows are limited, noise is seeded`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            var request = Groot_V1_InferRequest.tiny()
            request.prefix.rows = 2
            request.prefix.frozenRows = 1
            request.prefix.values = [7, 8, 9, 0, 0, 0]
            request.maxRows = 2
            let continued = try await worker.inference.infer(request)
            #expect(continued.rows == 2)
            #expect(continued.values.count == 6)
            #expect(Array(continued.values.prefix(3)) == [7, 8, 9])
            // Two prefix rows add 0.5 each to what is not frozen.
            #expect(abs(continued.values[3] - (1 + 0.01 + Self.offset + 1)) < 1e-4)

            var noisy = Groot_V1_InferRequest.tiny()
            noisy.noiseSeed = 9
            let first = try await worker.inference.infer(noisy)
            let again = try await worker.inference.infer(noisy)
            #expect(first.values == again.values)
            let noise = SeededNormal.values(seed: 9, count: 12)
            #expect(abs(first.values[0] - (1 + Self.offset + noise[0])) < 1e-4)
            #expect(abs(first.values[11] - (3 + 0.03 + Self.offset + noise[11])) < 1e-4)
        }
    }

    @Test
    func `rows of a batch do not mix, whatever ran before`() async throws {
        try await WorkerHarness.run(maxBatch: 2, load: Self.load) { worker in
            try await serving(worker)
            let answers = try await withThrowingTaskGroup(of: (Int, Groot_V1_InferResponse).self) { group in
                for robot in 0..<6 {
                    group.addTask {
                        var request = Groot_V1_InferRequest.tiny(
                            robot: "r\(robot)",
                            task: String(repeating: "a", count: robot + 1)
                        )
                        request.stateValues = [0, Float(robot), 0]
                        return (robot, try await worker.inference.infer(request))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 6)
            for (robot, answer) in answers {
                let expected = Float(robot) + 10 + 97 * Float(robot + 1) / 1000
                #expect(abs(answer.values[0] - expected) < 1e-4, "r\(robot)")
                #expect(answer.requestID == "request-r\(robot)")
            }
        }
    }

    @Test
    func `a bad request and an unknown checkpoint say what was expected`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            var request = Groot_V1_InferRequest.tiny()
            request.images[0].width = 640
            await refused(worker, request, .invalidArgument, "holds 48 bytes, expected 7680")
            request = .tiny()
            request.checkpoint = "other"
            await refused(worker, request, .notFound, "served: [\"tiny\"]")
            request.checkpoint = "tiny"
            #expect(try await worker.inference.infer(request).checkpoint == "tiny")
            #expect(worker.metric("groot_worker_requests_total{outcome=\"badRequest\"}") == "1")
        }
    }

    @Test
    func `an infinite answer is refused for its own row only`() async throws {
        let load: @Sendable () async throws(WorkerError) -> [any PolicyRuntime] = { () throws(WorkerError) in
            [try await TestRuntime.load("overflowing")]
        }
        try await WorkerHarness.run(load: load) { worker in
            try await serving(worker)
            async let fine = worker.inference.infer(.tiny(robot: "r1"))
            var request = Groot_V1_InferRequest.tiny(robot: "r2")
            request.stateValues = [0, 200, 0]
            await refused(worker, request, .invalidArgument, "Checkpoint overflowing answered inf for left in row 0")
            #expect(try await fine.values.count == 12)
        }
    }

    @Test
    func `a JPEG of any size is decoded and resized, a damaged one refused`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            let white = try #require(CameraFrame(width: 64, height: 32, pixels: Array(repeating: 255, count: 6144)))
            var request = Groot_V1_InferRequest.tiny()
            request.images[1].encoding = .jpeg
            request.images[1].width = 64
            request.images[1].height = 32
            request.images[1].data = Data(try JPEGEncoder().encode(white))
            let answer = try await worker.inference.infer(request)
            #expect(abs(answer.values[0] - (1 + Self.offset)) < 1e-4)

            request.images[1].data.removeLast(8)
            await refused(worker, request, .invalidArgument, "Image observation.images.b: The JPEG of")
            request.images[1].data = Data("no picture".utf8)
            await refused(worker, request, .invalidArgument, "are no JPEG file")
            request.images[1].data = Data(try JPEGEncoder().encode(white))
            request.images[1].height = 16
            await refused(worker, request, .invalidArgument, "is a JPEG of 64x32, announced as 64x16")
            request.images[1].width = 32
            request.images[1].height = 64
            await refused(worker, request, .invalidArgument, "is a JPEG of 64x32, announced as 32x64")
        }
    }

    @Test
    func `the trailers tell the load, and a strange runway is refused`() async throws {
        try await WorkerHarness.run(maxBatch: 2, load: Self.load) { worker in
            try await serving(worker)
            let trailers = try await worker.inference.infer(.tiny(), metadata: ["groot-runway-ms": "250"]) { response in
                _ = try response.message
                return response.trailingMetadata
            }
            let load = try #require(Array(trailers[stringValues: "endpoint-load-metrics"]).first)
            let form =
                /TEXT named_metrics.queue=0,named_metrics.running=0,named_metrics.batch_capacity=2,named_metrics.batch_ms=\d+\.\d,named_metrics.left_ms=0\.0,named_metrics.batch=1/
            #expect(load.wholeMatch(of: form) != nil, "\(load)")

            let error = await #expect(throws: RPCError.self) {
                _ = try await worker.inference.infer(.tiny(), metadata: ["groot-runway-ms": "soon"])
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("expected whole milliseconds") == true)
        }
    }

    @Test
    func `a robot of another rate is answered, and counted`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            let counted = "groot_worker_rate_mismatches_total"
            _ = try await worker.inference.infer(.tiny(), metadata: ["groot-action-period-ms": "100"])
            #expect(worker.metric(counted) == "0")
            let answer = try await worker.inference.infer(.tiny(), metadata: ["groot-action-period-ms": "33"])
            #expect(answer.rows == 4)
            #expect(worker.metric(counted) == "1")
            let error = await #expect(throws: RPCError.self) {
                _ = try await worker.inference.infer(.tiny(), metadata: ["groot-action-period-ms": "0"])
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test
    func `wrong camera, wrong state length and NaN are refused, and say what was expected`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            var request = Groot_V1_InferRequest.tiny()
            request.images[0].key = "observation.images.c"
            await refused(worker, request, .invalidArgument, "observation.images.a")
            request = .tiny()
            request.stateValues = [3, 1]
            await refused(worker, request, .invalidArgument, "3 state names but 2 state values")
            request.stateNames = ["claw", "left"]
            await refused(
                worker,
                request,
                .invalidArgument,
                #"Expected: ["left", "right", "claw"]. Got: ["claw", "left"]"#
            )
            request = .tiny()
            request.stateValues[1] = .nan
            await refused(worker, request, .invalidArgument, "State left is nan, not a finite number")
            #expect(worker.metric("groot_worker_requests_total{outcome=\"badRequest\"}") == "4")
            #expect(try await worker.inference.infer(.tiny()).rows == 4)
        }
    }

    @Test
    func `describe tells the policy`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            let answer = try await worker.inference.describe(Groot_V1_DescribeRequest())
            #expect(answer.worker == "w1")
            let description = try PolicyDescription(try #require(answer.policies.first))
            #expect(description.stateNames == ["left", "right", "claw"])
            #expect(description.runtime == "onnx")
            #expect(answer.policies.first?.runtimeVersion.contains("on the CPU") == true)
            #expect(description.maxBatch == 2)
            #expect(description.batchTimes.map(\.batch) == [1, 2])
            #expect(description.batchTimes.allSatisfy { $0.infer > .zero })
        }
    }
}
