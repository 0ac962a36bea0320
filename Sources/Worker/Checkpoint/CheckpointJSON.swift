import Foundation

/// JSON that came with a checkpoint: its size and its depth are known before anything is built of it.
enum CheckpointJSON {
    /// Of configurations; a larger one is none.
    static let configBytes = 1 << 20
    /// Of everything else: vocabularies of tokenizers have tens of megabytes.
    static let assetBytes = 64 << 20
    static let maximumDepth = 64

    /// - Throws: `badCheckpoint` for what is no readable file of that size, and `DecodingError` as `JSONDecoder` does.
    static func decode<Value: Decodable>(
        _ type: Value.Type,
        from url: URL,
        atMost limit: Int = configBytes
    ) throws -> Value {
        let data = try CheckpointFile(url).contents(atMost: limit)
        try checkDepth(data, of: url.path)
        return try JSONDecoder().decode(type, from: data)
    }

    /// - Throws: `badCheckpoint` when objects and lists lie in each other deeper than any of ours.
    static func checkDepth(_ data: Data, of path: String) throws(WorkerError) {
        var depth = 0
        var isText = false
        var isEscaped = false
        for byte in data {
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: continue
            }
            guard depth <= maximumDepth else {
                throw WorkerError(.badCheckpoint, "\(path) nests its values deeper than \(maximumDepth) levels.")
            }
        }
    }
}
