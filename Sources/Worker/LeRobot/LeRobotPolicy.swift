import Foundation
package import GrootCore
package import Logging
import Synchronization

/// Any LeRobot `pretrained_model` directory, run by the user's own Python in a supervised child process.
///
/// Owns the child and its restarts. A child that crashes, hangs or is killed costs the requests of its batch (they fail
/// over to another worker) and nothing else: the next child loads the same directory while the worker goes on.
package actor LeRobotPolicy: PolicyRuntime {
    package nonisolated let description: PolicyDescription
    package nonisolated let version: String
    package nonisolated let memoryBytes: Int

    private let options: CheckpointOptions
    private let logger: Logger
    private let changed: @Sendable () -> Void
    private var child: PythonChild?
    private var backoff = RestartBackoff()
    private var restart: Task<Void, Never>?
    private var isClosed = false
    private nonisolated let lostReason = Mutex<String?>(nil)

    package nonisolated var unavailableReason: String? { lostReason.withLock { $0 } }

    private init(
        child: PythonChild,
        description: PolicyDescription,
        loaded: LoadedPolicy,
        options: CheckpointOptions,
        logger: Logger,
        changed: @escaping @Sendable () -> Void
    ) {
        self.child = child
        self.description = description
        self.options = options
        self.logger = logger
        self.changed = changed
        version = loaded.version
        memoryBytes = loaded.memoryBytes
    }

    /// - Parameter changed: called when the child was lost or is back.
    /// - Throws: `badCheckpoint` with the child's own words.
    package static func load(
        _ options: CheckpointOptions,
        logger: Logger,
        progress report: @escaping @Sendable (LoadStep) -> Void = { _ in },
        changed: @escaping @Sendable () -> Void = {}
    ) async throws(WorkerError) -> LeRobotPolicy {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        let progress = LoadProgress(logger: logger, checkpoint: options.name, report: report)
        let sha256 = try await progress.watch(.hashing) { () throws(WorkerError) in
            let files = try CheckpointFiles.lerobot(in: directory)
            try options.admit(bytes: files.weightBytes)
            return try CheckpointDigest.of(directory: directory, files: files.names)
        }
        let (child, loaded, description) = try await progress.watch(.loadingModel) { () async throws(WorkerError) in
            try await Self.start(options, logger: logger, report: report) { loaded throws(WorkerError) in
                let names = try FeatureNames(directory: directory, options: options, loaded: loaded)
                if names.source == "none" {
                    logger.warning(
                        "no names for states and actions were found; they are numbered (see --dataset)",
                        metadata: ["checkpoint": "\(options.name)"]
                    )
                }
                let description = try names.description(of: loaded, options: options, sha256: sha256)
                let batchBytes = try description.batchBytes(options.maxBatch)
                try options.admit(bytes: CheckedSize.sum(of: [loaded.memoryBytes, batchBytes]) ?? .max)
                return description
            }
        }
        let policy = LeRobotPolicy(
            child: child,
            description: description,
            loaded: loaded,
            options: options,
            logger: logger,
            changed: changed
        )
        await policy.serves()
        return policy
    }

    /// A child that has loaded and tried every batch size.
    private static func start(
        _ options: CheckpointOptions,
        logger: Logger,
        report: @escaping @Sendable (LoadStep) -> Void,
        describe: @Sendable (LoadedPolicy) throws(WorkerError) -> PolicyDescription
    ) async throws(WorkerError) -> (PythonChild, LoadedPolicy, PolicyDescription) {
        let child = try PythonChild(options: options, logger: logger)
        do {
            let loaded = try await child.load(progress: report)
            var description = try describe(loaded)
            description.batchTimes = try await child.warmUp(description, progress: report)
            return (child, loaded, description)
        } catch let error as WorkerError {
            child.kill()
            throw error
        } catch {
            child.kill()
            throw WorkerError(.badCheckpoint, "\(options.directory) cannot be loaded by LeRobot: \(error).")
        }
    }

    package func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        guard let child else {
            throw WorkerError(.runtimeLost, "Not now: \(unavailableReason ?? "closed"). Try another worker.")
        }
        let outcome: Result<BatchResult, WorkerError>
        do throws(PythonChild.Lost) {
            outcome = try await child.run(batch, of: description)
        } catch {
            lost(error)
            throw WorkerError(
                .runtimeLost,
                "Checkpoint \(description.checkpoint) lost its runtime: \(error.reason). Try another worker."
            )
        }
        if case .failure(let error) = outcome {
            logger.error("inference failed", metadata: ["checkpoint": "\(options.name)", "error": "\(error)"])
        }
        return try outcome.get()
    }

    package func close() async {
        isClosed = true
        restart?.cancel()
        child?.kill()
        child = nil
    }

    /// The process that runs now; nil while none does.
    package var processIdentifier: Int32? { child?.processIdentifier }

    private func serves() { backoff.childServes(at: .now()) }

    private func lost(_ error: PythonChild.Lost) {
        guard !isClosed, child != nil else { return }
        child?.kill()
        child = nil
        let wait = backoff.childLost(at: .now())
        lostReason.withLock { $0 = "\(description.checkpoint) restarts (\(error.reason))" }
        logger.error(
            "python child lost; starting another",
            metadata: ["checkpoint": "\(options.name)", "reason": "\(error.reason)", "wait_ms": "\(wait.milliseconds)"]
        )
        changed()
        restart = Task { await startAgain(after: wait) }
    }

    private func startAgain(after first: Duration) async {
        var wait = first
        while !isClosed {
            // Cancelled by close(), which the loop's condition sees.
            try? await Task.sleep(for: wait)
            if isClosed { return }
            do throws(WorkerError) {
                let expected = description
                let (fresh, _, found) = try await Self.start(options, logger: logger, report: { _ in }) {
                    loaded throws(WorkerError) in
                    guard loaded.chunkSize == expected.chunkSize, loaded.actionDim == expected.actionNames.count,
                        loaded.stateDim == expected.stateNames.count,
                        loaded.images == expected.images.map({ .init(key: $0.key, width: $0.width, height: $0.height) })
                    else { throw WorkerError(.badCheckpoint, "\(expected.checkpoint) changed on disk; load it anew.") }
                    return expected
                }
                if isClosed {
                    fresh.kill()
                    return
                }
                child = fresh
                serves()
                lostReason.withLock { $0 = nil }
                logger.info(
                    "python child serves again",
                    metadata: ["checkpoint": "\(found.checkpoint)", "pid": "\(fresh.processIdentifier)"]
                )
                changed()
                return
            } catch {
                wait = backoff.childLost(at: .now())
                logger.error(
                    "python child could not be started again",
                    metadata: [
                        "checkpoint": "\(options.name)", "error": "\(error)", "wait_ms": "\(wait.milliseconds)",
                    ]
                )
            }
        }
    }
}
