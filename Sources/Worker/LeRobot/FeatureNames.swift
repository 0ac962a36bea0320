import Foundation
import GrootAPI
import GrootCore

/// Names of states and actions and the spacing of rows: LeRobot keeps them with the data set, not with the checkpoint.
///
/// Looked for, in this order: the `groot` section of config.json, the data set that was named (`--dataset`), the data set
/// that train_config.json points to when it lies on this machine, the adapter's own word. States and actions without
/// names get numbers ("state_0"), so that a mismatch is seen by the robot and nothing is guessed.
struct FeatureNames: Sendable {
    var state: [String]?
    var action: [String]?
    var rowsPerSecond: Double?
    /// Where they come from, for the log.
    var source = "none"

    /// As `--fps` takes them.
    private static let rates = 0.1...1000

    private struct Section: Decodable {
        struct Groot: Decodable {
            var actionPeriod: Double?
            var stateNames: [String]?
            var actionNames: [String]?

            enum CodingKeys: String, CodingKey {
                case actionPeriod = "action_period_s"
                case stateNames = "state_names"
                case actionNames = "action_names"
            }
        }

        var groot: Groot?
    }

    private struct TrainConfig: Decodable {
        struct Dataset: Decodable {
            var root: String?
        }

        var dataset: Dataset?
    }

    private struct DatasetInfo: Decodable {
        struct Feature: Decodable {
            var names: [String]?

            init(from decoder: any Decoder) throws {
                // Images have names too, in other forms (a list of axes, or an object): only lists of texts matter here.
                let container = try decoder.container(keyedBy: CodingKeys.self)
                if let list = try? container.decode([String].self, forKey: .names) {
                    names = list
                } else if let groups = try? container.decode([String: [String]].self, forKey: .names) {
                    names = groups.sorted { $0.key < $1.key }.flatMap(\.value)
                }
            }

            enum CodingKeys: String, CodingKey { case names }
        }

        var fps: Double?
        var features: [String: Feature]
    }

    init(directory: URL, options: CheckpointOptions, loaded: LoadedPolicy) throws(WorkerError) {
        let config = directory.appending(path: CheckpointConfig.fileName)
        // Without the section, or with another one under that name, the names come from elsewhere.
        if let groot = try? CheckpointJSON.decode(Section.self, from: config).groot {
            state = groot.stateNames
            action = groot.actionNames
            rowsPerSecond = groot.actionPeriod.flatMap { $0 > 0 ? 1 / $0 : nil }
            source = "config.json"
        } else if let dataset = options.dataset {
            try read(dataset: URL(filePath: dataset))
        } else if let root = Self.trainedOn(directory) {
            try read(dataset: URL(filePath: root))
        }
        state = state ?? loaded.stateNames
        action = action ?? loaded.actionNames
        rowsPerSecond = rowsPerSecond ?? loaded.rowsPerSecond
    }

    private mutating func read(dataset: URL) throws(WorkerError) {
        let file = dataset.pathExtension == "json" ? dataset : dataset.appending(path: "meta/info.json")
        do {
            let info = try CheckpointJSON.decode(DatasetInfo.self, from: file, atMost: CheckpointJSON.assetBytes)
            state = info.features[PolicyDescription.stateKey]?.names
            action = info.features[PolicyDescription.actionKey]?.names
            rowsPerSecond = info.fps
            source = file.path
        } catch let error as WorkerError {
            throw error
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "\(file.path) cannot be read as a LeRobot data set's info.json; --dataset names its folder.",
                cause: error
            )
        }
    }

    /// The training data's folder, when it is on this machine.
    private static func trainedOn(_ directory: URL) -> String? {
        // Only a hint: whatever is wrong with the file, names may come from elsewhere.
        let file = directory.appending(path: "train_config.json")
        guard let root = try? CheckpointJSON.decode(TrainConfig.self, from: file).dataset?.root,
            FileManager.default.fileExists(atPath: root + "/meta/info.json")
        else { return nil }
        return root
    }

    /// The whole description, or what contradicts what.
    func description(
        of loaded: LoadedPolicy,
        options: CheckpointOptions,
        sha256: String
    ) throws(WorkerError) -> PolicyDescription {
        func names(_ given: [String]?, _ count: Int, _ kind: String) throws(WorkerError) -> [String] {
            guard (1...PolicyDescription.maximumNames).contains(count) else {
                throw WorkerError(
                    .badCheckpoint,
                    "\(options.name) has \(count) \(kind) numbers, expected 1 to \(PolicyDescription.maximumNames)."
                )
            }
            guard let given else { return (0..<count).map { "\(kind)_\($0)" } }
            guard given.count == count, Set(given).count == count else {
                throw WorkerError(
                    .badCheckpoint,
                    "\(source) gives \(given.count) \(kind) names \(ReadableText.list(given)), the policy has \(count)"
                        + " different ones."
                        + " Name the data set that it was trained on with --dataset."
                )
            }
            return given
        }
        if let wanted = options.rowsPerSecond, let found = rowsPerSecond, abs(wanted - found) > 0.01 * found {
            throw WorkerError(
                .badCheckpoint,
                "--fps is \(wanted), but \(source) says \(found): robots would move \(wanted / found) times as fast"
                    + " as demonstrated. Leave --fps out."
            )
        }
        let rate = rowsPerSecond ?? options.rowsPerSecond ?? 0
        guard rate == 0 || Self.rates.contains(rate) else {
            throw WorkerError(.badCheckpoint, "\(source) says \(rate) rows a second, expected \(Self.rates).")
        }
        guard rate > 0 else {
            throw WorkerError(
                .badCheckpoint,
                "Nothing says how far apart the rows of \(options.name)'s chunks are: name the data set with --dataset,"
                    + " or the rate with --fps."
            )
        }
        let described = PolicyDescription(
            checkpoint: options.name,
            policyType: loaded.policyType,
            sha256: sha256,
            runtime: "lerobot",
            images: loaded.images.map { .init(key: $0.key, width: $0.width, height: $0.height) },
            stateNames: try names(state, loaded.stateDim, "state"),
            actionNames: try names(action, loaded.actionDim, "action"),
            chunkSize: loaded.chunkSize,
            actionPeriod: .nanoseconds(Int64((1e9 / rate).rounded())),
            supportsPrefix: loaded.supportsPrefix,
            maxTaskBytes: loaded.maxTaskBytes,
            maxBatch: options.maxBatch
        )
        try described.checkSizes(of: options.directory)
        return described
    }
}
