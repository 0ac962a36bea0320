import GrootCore

/// Where everything lies in the memory that worker and child share. Pure.
///
/// One region per input with room for the largest batch, rows one after the other, so that the child sees a batch as one
/// tensor without a copy. Regions begin at multiples of 64 bytes.
struct ArenaLayout: Hashable, Sendable, Encodable {
    struct Region: Hashable, Sendable, Encodable {
        var offset: Int
        var rowBytes: Int

        enum CodingKeys: String, CodingKey {
            case offset
            case rowBytes = "row_bytes"
        }
    }

    static let state = "state"
    static let task = "task"
    static let prefix = "prefix"
    static let chunk = "chunk"

    var path: String
    private(set) var bytes = 0
    var maxBatch: Int
    private(set) var regions: [String: Region] = [:]

    enum CodingKeys: String, CodingKey {
        case path
        case bytes
        case maxBatch = "max_batch"
        case regions
    }

    /// - Throws: `badCheckpoint` when the policy's sizes are beyond any memory.
    init(policy: PolicyDescription, maxBatch: Int, path: String) throws(WorkerError) {
        self.path = path
        self.maxBatch = maxBatch
        for image in policy.images {
            try add(image.key, rowBytes: CheckedSize.product(image.width, image.height, 3))
        }
        let chunk = CheckedSize.product(policy.chunkSize, policy.actionNames.count, 4)
        try add(Self.state, rowBytes: CheckedSize.product(policy.stateNames.count, 4))
        try add(Self.task, rowBytes: policy.maxTaskBytes)
        try add(Self.prefix, rowBytes: chunk)
        try add(Self.chunk, rowBytes: chunk)
    }

    private mutating func add(_ name: String, rowBytes: Int?) throws(WorkerError) {
        guard let rowBytes, let region = CheckedSize.product(rowBytes, maxBatch),
            let end = CheckedSize.sum(of: [bytes, region, 63])
        else {
            throw WorkerError(
                .badCheckpoint,
                "\(name) is too large for a batch of \(maxBatch); take a smaller --max-batch."
            )
        }
        regions[name] = Region(offset: bytes, rowBytes: rowBytes)
        bytes = end / 64 * 64
    }
}
