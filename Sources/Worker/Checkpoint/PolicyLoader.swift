import Foundation
import GrootCore
package import Logging

/// Loads a directory with the runtime that it is made for, or with the one that was asked for.
package enum PolicyLoader {
    package static func load(
        _ options: CheckpointOptions,
        logger: Logger,
        progress: @escaping @Sendable (LoadStep) -> Void = { _ in },
        changed: @escaping @Sendable () -> Void = {},
        deviceLost: @escaping @Sendable (WorkerError) -> Void = { _ in }
    ) async throws(WorkerError) -> any PolicyRuntime {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        try options.checkName()
        let policy: any PolicyRuntime
        let runtime: CheckpointOptions.Runtime
        if let named = options.runtime { runtime = named } else { runtime = try CheckpointFiles.runtime(of: directory) }
        switch runtime {
        case .onnx:
            policy = try await OnnxPolicy.load(options, logger: logger, progress: progress, deviceLost: deviceLost)
        case .lerobot:
            policy = try await LeRobotPolicy.load(options, logger: logger, progress: progress, changed: changed)
        case .synthetic: policy = try await SyntheticPolicy.load(options, logger: logger)
        }
        if let wanted = options.rowsPerSecond {
            let found = 1 / policy.description.actionPeriod.seconds
            guard abs(wanted - found) <= 0.01 * found else {
                await policy.close()
                throw WorkerError(
                    .badCheckpoint,
                    "--fps is \(wanted), but the rows of \(options.name) are \(policy.description.actionPeriod.milliseconds)"
                        + " ms apart (\(found) a second). Leave --fps out."
                )
            }
        }
        logger.info(
            "checkpoint loaded",
            metadata: [
                "checkpoint": "\(policy.description.checkpoint)", "sha256": "\(policy.description.sha256)",
                "runtime": "\(policy.version)", "memory_mib": "\(policy.memoryBytes >> 20)",
                "batch_ms": "\(policy.description.batchTimes.map { "\($0.batch): \($0.infer.milliseconds)" })",
            ]
        )
        return policy
    }
}
