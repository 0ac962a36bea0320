import Foundation

/// What the child says: one JSON object a line. Exactly one of the groups below is present.
struct ChildMessage: Decodable, Sendable {
    /// First word of a child: the version of the protocol that it speaks.
    var hello: Int?
    var python: String?
    var executable: String?
    /// What loading is busy with.
    var progress: String?
    var loaded: LoadedPolicy?
    var mapped: Bool?
    var warmed: Int?
    var note: String?
    var done: UInt64?
    var preprocessNs: Int64?
    var inferNs: Int64?
    var postprocessNs: Int64?
    /// "failed" or "out_of_memory", with `message`.
    var error: String?
    var message: String?

    enum CodingKeys: String, CodingKey {
        case hello, python, executable, progress, loaded, mapped, warmed, note, done, error, message
        case preprocessNs = "preprocess_ns"
        case inferNs = "infer_ns"
        case postprocessNs = "postprocess_ns"
    }
}

/// What a child found in the checkpoint.
struct LoadedPolicy: Decodable, Sendable {
    struct Image: Decodable, Hashable, Sendable {
        var key: String
        var width: Int
        var height: Int

        init(key: String, width: Int, height: Int) { (self.key, self.width, self.height) = (key, width, height) }

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            key = try list.decode(String.self)
            width = try list.decode(Int.self)
            height = try list.decode(Int.self)
        }
    }

    var policyType: String
    var images: [Image]
    var stateDim: Int
    var actionDim: Int
    var chunkSize: Int
    var supportsPrefix: Bool
    var maxTaskBytes: Int
    var version: String
    var memoryBytes: Int
    var stateNames: [String]?
    var actionNames: [String]?
    var rowsPerSecond: Double?

    enum CodingKeys: String, CodingKey {
        case policyType = "policy_type"
        case images
        case stateDim = "state_dim"
        case actionDim = "action_dim"
        case chunkSize = "chunk_size"
        case supportsPrefix = "supports_prefix"
        case maxTaskBytes = "max_task_bytes"
        case version
        case memoryBytes = "memory_bytes"
        case stateNames = "state_names"
        case actionNames = "action_names"
        case rowsPerSecond = "rows_per_second"
    }
}

/// What the worker says.
struct ChildRequest: Encodable, Sendable {
    struct Settings: Encodable, Sendable {
        var directory: String
        var device: String
        var compile: Bool
        var threads: Int
    }

    struct Row: Encodable, Sendable {
        var taskBytes: Int
        var prefixRows: Int
        var frozenRows: Int
        var seed: UInt64

        enum CodingKeys: String, CodingKey {
            case taskBytes = "task_bytes"
            case prefixRows = "prefix_rows"
            case frozenRows = "frozen_rows"
            case seed
        }
    }

    /// "load", "map", "warm" or "run".
    var `do`: String
    var adapter: String?
    var settings: Settings?
    var layout: ArenaLayout?
    var batch: Int?
    var id: UInt64?
    var rows: [Row]?

    init(_ action: String) { self.do = action }
}
