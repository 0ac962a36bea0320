import Crypto
package import Foundation

/// SHA-256 over the files that decide what a checkpoint answers.
package enum CheckpointDigest {
    /// Bytes read at a time.
    private static let blockBytes = 1 << 20

    /// Hex digest over the named files in their order, each preceded by its length (8 bytes, big-endian), so that no
    /// byte can move from one file to the other unnoticed.
    package static func of(directory: URL, files: [String]) throws(WorkerError) -> String {
        var hash = SHA256()
        for name in files {
            let file = directory.appending(path: name)
            do {
                let handle = try FileHandle(forReadingFrom: file)
                // Closing a file that was only read cannot lose anything.
                defer { try? handle.close() }
                let length = try handle.seekToEnd()
                try handle.seek(toOffset: 0)
                hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) })
                while let block = try handle.read(upToCount: blockBytes), !block.isEmpty {
                    hash.update(data: block)
                }
            } catch {
                throw WorkerError(
                    .badCheckpoint,
                    "\(file.path) cannot be read; a checkpoint directory holds config.json and model.onnx or"
                        + " model.safetensors.",
                    cause: error
                )
            }
        }
        return hash.finalize().map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        .joined()
    }

    /// Size of a file; 0 when it cannot be read, which whoever opens it reports.
    static func bytes(of file: URL) -> Int {
        (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
    }
}
