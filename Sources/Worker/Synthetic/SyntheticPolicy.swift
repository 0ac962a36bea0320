import Foundation
package import GrootCore
package import Logging

/// No policy at all: answers after the time that a declared t(batch) says, with a chunk that holds the robot where it is.
///
/// For load tests and capacity planning: what a gateway and a fleet do with GPUs that nobody has yet. Describe says
/// runtime "synthetic", and so does the log.
package struct SyntheticPolicy: PolicyRuntime {
    static let fileName = "synthetic.json"

    /// `synthetic.json` beside config.json.
    package struct Timing: Decodable, Hashable, Sendable {
        /// Milliseconds of one inference by batch size; sizes in between lie on the line between their neighbours.
        package var batchMs: [String: Double]
        /// Each inference takes up to this share longer or shorter, evenly spread, always the same in the same order.
        package var jitter: Double?

        package init(batchMs: [String: Double], jitter: Double? = nil) {
            self.batchMs = batchMs
            self.jitter = jitter
        }

        enum CodingKeys: String, CodingKey {
            case batchMs = "batch_ms"
            case jitter
        }
    }

    package let description: PolicyDescription
    package let version: String
    package var memoryBytes: Int { 0 }

    private let times: BatchTimes
    private let jitter: Double

    package init(description: PolicyDescription, timing: Timing, maxBatch: Int) throws(WorkerError) {
        var seeds: [PolicyDescription.BatchTime] = []
        for (size, milliseconds) in timing.batchMs {
            guard let batch = Int(size), (1...1024).contains(batch), (0...60_000).contains(milliseconds) else {
                throw WorkerError(
                    .badCheckpoint,
                    "\(Self.fileName): batch_ms holds \"\(size)\": \(milliseconds), expected batch sizes from 1 and"
                        + " milliseconds from 0 to 60000."
                )
            }
            seeds.append(.init(batch: batch, infer: .seconds(milliseconds / 1000)))
        }
        guard !seeds.isEmpty else { throw WorkerError(.badCheckpoint, "\(Self.fileName): batch_ms is empty.") }
        let jitter = timing.jitter ?? 0
        guard (0...1).contains(jitter) else {
            throw WorkerError(.badCheckpoint, "\(Self.fileName): jitter is \(jitter), expected 0 to 1.")
        }
        self.jitter = jitter
        let times = BatchTimes(maxBatch: max(maxBatch, seeds.map(\.batch).max() ?? 1), seeds: seeds)
        self.times = times
        var described = description
        described.runtime = "synthetic"
        described.maxBatch = maxBatch
        described.batchTimes = (1...maxBatch).map { .init(batch: $0, infer: times[$0]) }
        self.description = described
        version = "synthetic: no policy, declared times, the robot holds still"
    }

    /// Nothing to give back.
    package func close() async {}

    /// Reads config.json (a `groot` section names states and actions) and synthetic.json.
    package static func load(_ options: CheckpointOptions, logger: Logger) async throws(WorkerError) -> SyntheticPolicy
    {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        let config = try CheckpointConfig.read(directory: directory)
        let file = directory.appending(path: fileName)
        let timing: Timing
        do {
            timing = try CheckpointJSON.decode(Timing.self, from: file)
        } catch let error as WorkerError {
            throw error
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "\(file.path) cannot be read; it holds e.g. {\"batch_ms\": {\"1\": 11, \"8\": 33}, \"jitter\": 0.1}.",
                cause: error
            )
        }
        let description = try config.description(
            name: options.name,
            sha256: try CheckpointDigest.of(directory: directory, files: [CheckpointConfig.fileName, fileName]),
            file: directory.appending(path: CheckpointConfig.fileName).path
        )
        _ = try description.batchBytes(options.maxBatch)
        logger.warning(
            "this checkpoint is synthetic: robots are told to hold still",
            metadata: ["checkpoint": "\(options.name)"]
        )
        return try SyntheticPolicy(description: description, timing: timing, maxBatch: options.maxBatch)
    }

    package func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        let began = MonotonicInstant.now()
        // The jitter of a batch follows from what is in it, so that a run can be repeated.
        let drawn = batch.reduce(UInt64(batch.count)) {
            $0 &* 31 &+ UInt64($1.state.first?.bitPattern ?? 0) &+ $1.noiseSeed
        }
        let share = jitter * (Double(drawn % 2001) / 1000 - 1)
        let wanted = Duration.seconds(times[batch.count].seconds * (1 + share))
        let chunks = batch.map { input -> ChunkResult in .success(hold(input.state)) }
        // Cancelled with the caller; the answer is then nobody's.
        if wanted > .zero { try? await Task.sleep(for: wanted) }
        return BatchResult(
            chunks: chunks,
            preprocess: .zero,
            infer: MonotonicInstant.now() - began,
            postprocess: .zero
        )
    }

    /// Every action is the state of the same place, 0 where there is none.
    private func hold(_ state: [Float]) -> [Float] {
        let row = description.actionNames.indices.map { state.indices.contains($0) ? state[$0] : 0 }
        return Array(repeatElement(row, count: description.chunkSize).joined())
    }
}
