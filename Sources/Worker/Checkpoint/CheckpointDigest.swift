import Crypto
package import Foundation

/// SHA-256 over the files that decide what a checkpoint answers.
package enum CheckpointDigest {
    /// Hex digest over the named files in their order, each preceded by its length (8 bytes, big-endian), so that no
    /// byte can move from one file to the other unnoticed.
    package static func of(directory: URL, files: [String]) throws(WorkerError) -> String {
        var hash = SHA256()
        for name in files {
            let file = try CheckpointFile(directory.appending(path: name))
            hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: file.bytes >> (56 - 8 * $0)) })
            try file.forEachBlock { hash.update(data: $0) }
        }
        return hash.finalize().map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        .joined()
    }
}
