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

    init(policy: PolicyDescription, maxBatch: Int, path: String) {
        self.path = path
        self.maxBatch = maxBatch
        for image in policy.images { add(image.key, rowBytes: image.width * image.height * 3) }
        let chunk = policy.chunkSize * policy.actionNames.count * 4
        add(Self.state, rowBytes: policy.stateNames.count * 4)
        add(Self.task, rowBytes: policy.maxTaskBytes)
        add(Self.prefix, rowBytes: chunk)
        add(Self.chunk, rowBytes: chunk)
    }

    private mutating func add(_ name: String, rowBytes: Int) {
        regions[name] = Region(offset: bytes, rowBytes: rowBytes)
        bytes += (rowBytes * maxBatch + 63) / 64 * 64
    }
}
