package import Foundation
import GrootCore
package import Logging

/// Loads, exchanges and unloads checkpoints while others are served.
///
/// Owns the memory budget and the loads under way. A load that fails, at whatever step, leaves everything as it was: the
/// new policy becomes reachable by one assignment, after its last batch size was tried.
package actor CheckpointKeeper {
    package struct Configuration: Sendable {
        /// Flags of the process; directory, name and runtime are each load's own.
        package var base: CheckpointOptions
        package var queue: BatchQueue<UInt64>.Configuration
        /// Bytes for all that is resident; nil sets no limit.
        package var memoryBudget: Int?
        /// Only directories below may be loaded while serving; nil allows none.
        package var root: URL?

        package init(
            base: CheckpointOptions,
            queue: BatchQueue<UInt64>.Configuration,
            memoryBudget: Int? = nil,
            root: URL? = nil
        ) {
            self.base = base
            self.queue = queue
            self.memoryBudget = memoryBudget
            self.root = root
        }
    }

    package typealias Load =
        @Sendable (
            CheckpointOptions, @escaping @Sendable (LoadStep) -> Void, @escaping @Sendable () -> Void
        ) async throws(WorkerError) -> any PolicyRuntime

    package nonisolated let state: ServingState
    private let configuration: Configuration
    private let metrics: WorkerMetrics
    private let logger: Logger
    /// Nil loads for real; a test brings its own.
    private let load: Load?
    private var budget: CheckpointBudget
    private var loading: Set<String> = []
    private var generation = 0

    package init(
        configuration: Configuration,
        state: ServingState,
        metrics: WorkerMetrics,
        logger: Logger,
        load: Load? = nil
    ) {
        self.configuration = configuration
        self.state = state
        self.metrics = metrics
        self.logger = logger
        self.load = load
        budget = CheckpointBudget(limit: configuration.memoryBudget)
    }

    package var memoryUsed: Int { budget.used }
    package nonisolated var memoryLimit: Int? { configuration.memoryBudget }

    /// The checkpoints that the process was started with: all of them, or the error of the first that fails.
    package func loadAll(_ directories: [String]) async throws(WorkerError) {
        for directory in directories {
            var options = configuration.base
            options = options.with(directory: directory, name: nil, runtime: options.runtime)
            try await bring(options)
        }
        state.loaded([])
    }

    /// Starts a load and returns; how it goes is in `ServingState.loads`.
    ///
    /// - Throws: `badCheckpoint` when the directory may not be loaded, `overBudget` when its files alone do not fit,
    ///   `notServing` when the same name is being loaded already.
    package func begin(
        directory: String,
        name: String?,
        runtime: CheckpointOptions.Runtime?
    ) throws(WorkerError) -> String {
        let folder = URL(filePath: directory, directoryHint: .isDirectory).standardizedFileURL.resolvingSymlinksInPath()
        guard let root = configuration.root?.standardizedFileURL.resolvingSymlinksInPath() else {
            throw WorkerError(
                .badCheckpoint,
                "Loading while serving is off; start the worker with --checkpoints FOLDER."
            )
        }
        guard folder.path.hasPrefix(root.path + "/") else {
            throw WorkerError(.badCheckpoint, "\(folder.path) is not below \(root.path), the folder of --checkpoints.")
        }
        let options = configuration.base.with(directory: folder.path, name: name, runtime: runtime)
        try options.checkName()
        guard !loading.contains(options.name) else {
            throw WorkerError(
                .notServing,
                "\(options.name) is being loaded already; ask GET /checkpoints how far it is."
            )
        }
        if runtime == nil { _ = try CheckpointFiles.runtime(of: folder) }
        try admit(bytes: Self.size(of: folder), name: options.name)
        Task {
            do throws(WorkerError) {
                try await bring(options)
            } catch {
                logger.error(
                    "checkpoint not loaded; what was served is served on",
                    metadata: ["checkpoint": "\(options.name)", "error": "\(error)"]
                )
            }
        }
        return options.name
    }

    /// Takes a checkpoint away; what it had accepted is finished first.
    ///
    /// - Throws: `unknownCheckpoint`, or `notServing` for the last one, without which the worker would be useless.
    package func unload(_ name: String) throws(WorkerError) {
        let served = state.resident.map { $0.runner.description.checkpoint }
        guard served.contains(name) else {
            throw WorkerError(
                .unknownCheckpoint,
                "Checkpoint \"\(name)\" is not served here; served: \(ReadableText.list(served))."
            )
        }
        guard served.count > 1 else {
            throw WorkerError(.notServing, "\(name) is the only checkpoint; load another first, or stop the worker.")
        }
        guard let batcher = state.remove(name) else { return }
        retire(batcher)
        logger.info("checkpoint unloaded", metadata: ["checkpoint": "\(name)"])
    }

    /// Ends every runtime; the process is about to end.
    package func closeAll() async {
        for batcher in state.resident { await batcher.runner.close() }
    }

    private func bring(_ wanted: CheckpointOptions) async throws(WorkerError) {
        let name = wanted.name
        let options = wanted.limited(to: budget.left)
        let since = MonotonicInstant.now()
        loading.insert(name)
        defer { loading.remove(name) }
        let state = state
        let report: @Sendable (LoadStep) -> Void = { step in
            if case .warming = step { state.warming() }
            let status = ServingState.LoadStatus(
                directory: options.directory,
                step: "\(step)",
                failed: false,
                since: since
            )
            state.loadChanged(name, to: status)
        }
        report(.hashing)
        do throws(WorkerError) {
            let changed: @Sendable () -> Void = { state.availabilityChanged() }
            let policy: any PolicyRuntime
            if let load {
                policy = try await load(options, report, changed)
            } else {
                policy = try await PolicyLoader.load(
                    options,
                    logger: logger,
                    progress: report,
                    changed: changed,
                    deviceLost: { state.fail($0) }
                )
            }
            do throws(WorkerError) {
                try admit(bytes: policy.memoryBytes, name: name)
            } catch {
                await policy.close()
                throw error
            }
            generation += 1
            let key = "\(name)#\(generation)"
            budget.became(resident: key, bytes: policy.memoryBytes)
            let batcher = Batcher(runner: policy, configuration: configuration.queue, metrics: metrics, key: key)
            if let old = state.install(batcher) { retire(old) }
            state.loadChanged(name, to: nil)
            metrics.residentBytes.set(Double(budget.used))
        } catch {
            let status = ServingState.LoadStatus(
                directory: options.directory,
                step: error.description,
                failed: true,
                since: since
            )
            state.loadChanged(name, to: status)
            throw error
        }
    }

    private func admit(bytes: Int, name: String) throws(WorkerError) {
        guard let excess = budget.excess(of: bytes), let limit = budget.limit else { return }
        throw WorkerError(
            .overBudget,
            "\(name) needs \(bytes >> 20) MiB, \((excess + (1 << 20) - 1) >> 20) MiB more than the budget of"
                + " \(limit >> 20) MiB leaves. Unload another checkpoint, or raise --memory-budget."
        )
    }

    private func retire(_ batcher: Batcher) {
        Task {
            await batcher.retire()
            await batcher.runner.close()
            budget.wentAway(batcher.key)
            metrics.residentBytes.set(Double(budget.used))
        }
    }

    /// All files of a folder, as far as they can be seen.
    private static func size(of folder: URL) -> Int {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.fileSizeKey])
        var total = 0
        while let file = files?.nextObject() as? URL {
            let bytes = (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
            total = CheckedSize.sum(of: [total, bytes]) ?? .max
        }
        return total
    }
}
