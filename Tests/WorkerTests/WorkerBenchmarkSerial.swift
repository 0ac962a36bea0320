import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import SwiftProtobuf
import Testing
import Worker

private let benchmarkCheckpoint = ProcessInfo.processInfo.environment["GROOT_BENCH_CHECKPOINT"]

/// Latency of a real checkpoint over a real client, one request at a time. Not part of the normal run:
/// `GROOT_BENCH_CHECKPOINT=DIR swift test --filter WorkerBenchmarkSerial`.
@Suite(.serialized, .enabled(if: benchmarkCheckpoint != nil, "set GROOT_BENCH_CHECKPOINT to a directory"))
struct WorkerBenchmarkSerial {
    private static let warmUp = 20
    private static let rounds = 300

    @Test
    func `time per chunk and overhead around the inference`() async throws {
        let directory = try #require(benchmarkCheckpoint)
        let load: @Sendable () async throws(WorkerError) -> [any PolicyRuntime] = { () throws(WorkerError) in
            [try await TestRuntime.load(directory: directory, maxBatch: 1)]
        }
        try await WorkerHarness.run(maxBatch: 1, load: load) { worker in
            try await eventually("it serves") { worker.state.phase == .serving }
            let described = try await worker.inference.describe(Groot_V1_DescribeRequest())
            let policy = try PolicyDescription(try #require(described.policies.first))
            let request = Groot_V1_InferRequest.with { request in
                request.robot = "r1"
                request.task = "depalletize the green box"
                request.images = policy.images.map { input in
                    Groot_V1_Image.with { image in
                        image.key = input.key
                        image.encoding = .rgb8
                        image.width = UInt32(input.width)
                        image.height = UInt32(input.height)
                        image.data = Data(count: input.width * input.height * 3)
                    }
                }
                request.stateNames = policy.stateNames
                request.stateValues = policy.stateNames.map { _ in 0 }
            }
            var inference: [Double] = []
            var overhead: [Double] = []
            for round in 0..<(Self.warmUp + Self.rounds) {
                let began = MonotonicInstant.now()
                let answer = try await worker.inference.infer(request)
                let took = (MonotonicInstant.now() - began).milliseconds
                let ran = Double(answer.timings.inferNs) / 1e6
                if round < Self.warmUp { continue }
                inference.append(ran)
                overhead.append(took - ran)
            }
            print("inference ms  \(Self.summary(inference))")
            print("overhead ms   \(Self.summary(overhead))  (client's round trip less the inference)")
            #expect(overhead.count == Self.rounds)
        }
    }

    private static func summary(_ values: [Double]) -> String {
        let sorted = values.sorted()
        return [50, 90, 99].map { percent in
            let value = sorted[min(sorted.count - 1, sorted.count * percent / 100)]
            return "p\(percent) \((value * 1000).rounded() / 1000)"
        }
        .joined(separator: "  ")
    }
}
