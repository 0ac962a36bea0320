package import Foundation
import GrootCore

/// Which runtime a directory is made for, and which of its files decide what it answers.
package enum CheckpointFiles {
    static let weights = "model.safetensors"
    /// More files than any checkpoint has.
    private static let maximumFiles = 10_000

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
                + " only \(ReadableText.list(names.sorted()))."
        )
    }

    /// The files of a LeRobot checkpoint: configuration, weights, processors and their states, in a fixed order.
    ///
    /// All of them are looked at before Python reads them: what they are, how large, and whether weights are whole.
    ///
    /// - Returns: names, and the bytes of the weights.
    static func lerobot(in directory: URL) throws(WorkerError) -> (names: [String], weightBytes: Int) {
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
        var sizes: [Int?] = []
        for name in decisive {
            let url = directory.appending(path: name)
            if name.hasSuffix(".safetensors") {
                try SafetensorsFile.check(url)
                sizes.append(try CheckpointFile(url).bytes)
            } else {
                let limit = name == CheckpointConfig.fileName ? CheckpointJSON.configBytes : CheckpointJSON.assetBytes
                let data = try CheckpointFile(url).contents(atMost: limit)
                try CheckpointJSON.checkDepth(data, of: url.path)
            }
        }
        return (decisive.sorted(), CheckedSize.sum(of: sizes) ?? .max)
    }

    private static func list(_ directory: URL) throws(WorkerError) -> [String] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "The checkpoint directory \(directory.path) cannot be read; does it exist, and may this user read it?",
                cause: error
            )
        }
        guard names.count <= maximumFiles else {
            throw WorkerError(.badCheckpoint, "\(directory.path) is no checkpoint: it holds \(names.count) files.")
        }
        return names
    }
}
