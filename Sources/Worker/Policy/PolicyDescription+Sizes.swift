package import GrootCore
import GrootImaging

/// Sizes that a checkpoint claims, judged before memory is taken for them: in one place for every runtime.
extension PolicyDescription {
    /// Of all inputs and the output of the largest batch together; more is a mistake or worse.
    package static let maximumBatchBytes = 2 << 30
    static let maximumImages = 64
    static let maximumNames = 4096
    static let maximumNameBytes = 128
    static let maximumRows = 10_000

    /// Names of a graph's other inputs, which no image may take.
    private static let reserved: Set<String> = [
        OnnxGraph.state, OnnxGraph.task, OnnxGraph.noise, OnnxGraph.prefix, OnnxGraph.prefixRows, OnnxGraph.frozenRows,
        ArenaLayout.state, ArenaLayout.task, ArenaLayout.prefix, ArenaLayout.chunk,
    ]

    /// Bytes of one row of a batch: images, state, task, noise, prefix and chunk in their widest form; nil when they are
    /// beyond any memory.
    package var rowBytes: Int? {
        let chunk = CheckedSize.product(chunkSize, actionNames.count, 4)
        return CheckedSize.sum(
            of: images.map { CheckedSize.product($0.width, $0.height, 3) }
                + [CheckedSize.product(stateNames.count, 4), CheckedSize.product(maxTaskBytes, 8), 16]
                + [chunk, chunk, chunk]
        )
    }

    /// - Parameter file: whose claims these are, for the message.
    /// - Throws: `badCheckpoint` naming what is out of bounds.
    package func checkSizes(of file: String) throws(WorkerError) {
        func failed(_ problem: String) -> WorkerError { WorkerError(.badCheckpoint, "\(file): \(problem).") }
        guard images.count <= Self.maximumImages else {
            throw failed("the policy reads \(images.count) images, expected at most \(Self.maximumImages)")
        }
        for image in images {
            guard image.width > 0, image.height > 0, let pixels = CheckedSize.product(image.width, image.height),
                pixels <= JPEGDecoder.maximumPixels
            else {
                throw failed(
                    "image \(image.key) is \(image.width)x\(image.height), expected 1 to \(JPEGDecoder.maximumPixels) pixels"
                )
            }
            guard !Self.reserved.contains(image.key) else { throw failed("\(image.key) is no name for an image") }
        }
        guard Set(images.map(\.key)).count == images.count else { throw failed("an image is named twice") }
        for (kind, names) in [("state", stateNames), ("action", actionNames)] {
            guard names.count <= Self.maximumNames else {
                throw failed("there are \(names.count) \(kind) names, expected at most \(Self.maximumNames)")
            }
        }
        let names = images.map(\.key) + stateNames + actionNames + [policyType]
        if let name = names.first(where: { $0.utf8.count > Self.maximumNameBytes }) {
            throw failed(
                "the name \"\(name.prefix(32))\" has \(name.utf8.count) bytes, at most \(Self.maximumNameBytes)"
            )
        }
        guard !actionNames.isEmpty, (1...Self.maximumRows).contains(chunkSize) else {
            throw failed("a chunk has \(chunkSize) rows of \(actionNames.count) actions")
        }
        guard (1...65_536).contains(maxTaskBytes) else { throw failed("a task has at most \(maxTaskBytes) bytes") }
        guard actionPeriod > .zero, actionPeriod <= .seconds(10) else {
            throw failed("rows are \(actionPeriod.milliseconds) ms apart, expected more than 0 and at most 10 s")
        }
    }

    /// - Returns: bytes of all inputs and outputs of the largest batch.
    /// - Throws: `badCheckpoint` when they are more than a worker sets aside.
    package func batchBytes(_ maxBatch: Int) throws(WorkerError) -> Int {
        guard let row = rowBytes, let bytes = CheckedSize.product(row, maxBatch), bytes <= Self.maximumBatchBytes else {
            throw WorkerError(
                .badCheckpoint,
                "\(checkpoint): a batch of \(maxBatch) observations would take more than"
                    + " \(Self.maximumBatchBytes >> 20) MiB. Take a smaller --max-batch, or smaller images."
            )
        }
        return bytes
    }
}
