package import Foundation

/// Which runtime a directory is made for, and which of its files decide what it answers.
package enum CheckpointFiles {
    static let weights = "model.safetensors"

    /// - Throws: `badCheckpoint` when the directory cannot be read or holds no checkpoint.
    package static func runtime(of directory: URL) throws(WorkerError) -> CheckpointOptions.Runtime {
        let names = try list(directory)
        if names.contains(OnnxGraph.fileName) { return .onnx }
        if names.contains(weights) || names.contains(where: { $0.hasSuffix(".safetensors.index.json") }) {
            return .lerobot
        }
        if names.contains(SyntheticPolicy.fileName) { return .synthetic }
        throw WorkerError(
            .badCheckpoint,
            "\(directory.path) is no checkpoint: it holds neither model.onnx nor model.safetensors nor synthetic.json,"
                + " only \(names.prefix(10).sorted())."
        )
    }

    /// The files of a LeRobot checkpoint: configuration, weights, processors and their states, in a fixed order.
    static func lerobot(in directory: URL) throws(WorkerError) -> [String] {
        let names = try list(directory)
        guard names.contains(CheckpointConfig.fileName) else {
            throw WorkerError(
                .badCheckpoint,
                "\(directory.path) holds no config.json; name a pretrained_model directory."
            )
        }
        let decisive = names.filter { name in
            name != "train_config.json" && (name.hasSuffix(".json") || name.hasSuffix(".safetensors"))
        }
        try SafetensorsCheck.check(
            decisive.filter { $0.hasSuffix(".safetensors") }.map { directory.appending(path: $0) }
        )
        return decisive.sorted()
    }

    private static func list(_ directory: URL) throws(WorkerError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: directory.path)
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "The checkpoint directory \(directory.path) cannot be read; does it exist, and may this user read it?",
                cause: error
            )
        }
    }
}

/// A look at the frame of a safetensors file, so that a download that broke off is found before Python is started.
enum SafetensorsCheck {
    /// Of LeRobot's files; the format allows 100 MB.
    private static let maximumHeader: UInt64 = 100_000_000

    static func check(_ files: [URL]) throws(WorkerError) {
        for file in files {
            func failed(_ what: String) -> WorkerError {
                WorkerError(.badCheckpoint, "\(file.path) is damaged: \(what). Copy or download it again.")
            }
            do {
                let handle = try FileHandle(forReadingFrom: file)
                // Closing a file that was only read cannot lose anything.
                defer { try? handle.close() }
                let size = try handle.seekToEnd()
                try handle.seek(toOffset: 0)
                guard let start = try handle.read(upToCount: 8), start.count == 8 else {
                    throw failed("it has \(size) bytes, too few for a header")
                }
                let length = start.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                guard length <= maximumHeader, length <= size &- 8, size >= 8 else {
                    throw failed("its header claims \(length) bytes of the file's \(size)")
                }
                guard let header = try handle.read(upToCount: Int(length)), header.count == Int(length),
                    let table = try? JSONSerialization.jsonObject(with: header) as? [String: Any]
                else { throw failed("its header is no JSON") }
                let end =
                    table.values.compactMap { ($0 as? [String: Any])?["data_offsets"] as? [Int] }
                    .compactMap(\.last).max() ?? 0
                guard UInt64(end) + 8 + length == size else {
                    throw failed("its tensors end at byte \(UInt64(end) + 8 + length), the file has \(size)")
                }
            } catch let error as WorkerError {
                throw error
            } catch {
                throw WorkerError(.badCheckpoint, "\(file.path) cannot be read.", cause: error)
            }
        }
    }
}
