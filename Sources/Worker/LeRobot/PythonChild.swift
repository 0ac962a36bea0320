import Foundation
import GrootCore
import Logging
import Synchronization

/// One Python process that runs one policy, from its start to its end.
///
/// Owns the process, its private folder, the socket and the shared memory. Everything here blocks on `thread`; a child is
/// never reused: whatever goes wrong ends it, and another one is started.
actor PythonChild {
    /// What became of a child, in words that help.
    struct Lost: Error, CustomStringConvertible {
        var reason: String
        /// False when a new start would end the same way (a directory that cannot be loaded).
        var worthRestarting = true

        var description: String { reason }
    }

    static let protocolVersion = 1
    /// Time from the start of Python to its first word.
    private static let helloTimeout: Duration = .seconds(60)

    private nonisolated let thread: DedicatedThread
    private let options: CheckpointOptions
    private let logger: Logger
    private let folder: URL
    private let process: ChildHandle
    private let socket: ControlSocket
    private var arena: SharedArena?
    private var lastID: UInt64 = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }
    /// True until the process has ended, for whatever reason.
    nonisolated var isRunning: Bool { process.isRunning }
    nonisolated var processIdentifier: Int32 { process.identifier }

    /// Starts Python and returns when it has said hello.
    ///
    /// - Throws: `badCheckpoint` when the interpreter cannot be started or does not speak the protocol.
    init(options: CheckpointOptions, logger: Logger) throws(WorkerError) {
        thread = DedicatedThread(name: "groot-worker.python")
        self.options = options
        self.logger = logger
        folder = try Self.privateFolder()
        do throws(WorkerError) {
            try PythonFiles.write(to: folder)
            let path = folder.appending(path: "control").path
            socket = try ControlSocket(path: path)
            process = try ChildHandle(
                python: options.python,
                arguments: ["-B", "-u", folder.appending(path: PythonFiles.main).path, path],
                logger: logger
            )
        } catch {
            Self.remove(folder)
            throw error
        }
    }

    deinit {
        process.kill()
        Self.remove(folder)
    }

    /// Handshake and loading.
    ///
    /// - Returns: what the checkpoint is.
    func load(progress: @Sendable (LoadStep) -> Void) throws(Lost) -> LoadedPolicy {
        let limit = MonotonicInstant.now() + options.loadTimeout
        do {
            try socket.accept(until: .now() + Self.helloTimeout) { process.isRunning }
        } catch {
            throw lost(error, while: "starting \(options.python)", restart: false)
        }
        let hello = try receive(until: .now() + Self.helloTimeout, while: "saying hello")
        guard hello.hello == Self.protocolVersion else {
            throw Lost(
                reason: "\(options.python) answered with protocol \(hello.hello.map { "\($0)" } ?? "?"), expected"
                    + " \(Self.protocolVersion)",
                worthRestarting: false
            )
        }
        logger.info(
            "python child started",
            metadata: ["pid": "\(process.identifier)", "python": "\(hello.executable ?? "") \(hello.python ?? "")"]
        )
        var request = ChildRequest("load")
        request.adapter = options.adapter ?? folder.appending(path: PythonFiles.lerobotAdapter).path
        request.settings = .init(
            directory: options.directory,
            device: options.device,
            compile: options.compile,
            threads: options.threads
        )
        try send(request)
        while true {
            let message = try receive(until: limit, while: "loading")
            if let loaded = message.loaded { return loaded }
            if let step = message.progress { progress(.other(step)) }
        }
    }

    /// Shares memory for the policy and tries every batch size.
    ///
    /// - Returns: the times, by ascending batch size.
    func warmUp(
        _ policy: PolicyDescription,
        progress: @Sendable (LoadStep) -> Void
    ) throws(Lost) -> [PolicyDescription.BatchTime] {
        let path = Self.memoryFolder + "/groot-worker-\(UUID().uuidString)"
        let layout: ArenaLayout
        let arena: SharedArena
        do throws(WorkerError) {
            layout = try ArenaLayout(policy: policy, maxBatch: options.maxBatch, path: path)
            arena = try SharedArena(layout: layout)
        } catch {
            throw Lost(reason: error.message, worthRestarting: false)
        }
        self.arena = arena
        var request = ChildRequest("map")
        request.layout = layout
        try send(request)
        _ = try receive(until: .now() + Self.helloTimeout, while: "mapping shared memory")
        arena.forgetName()
        progress(.warming(maxBatch: options.maxBatch))
        var times: [PolicyDescription.BatchTime] = []
        let limit = MonotonicInstant.now() + options.loadTimeout
        // The largest first: a lack of memory shows at once, and what it needed on a GPU serves the smaller ones too.
        for batch in (1...options.maxBatch).reversed() {
            var request = ChildRequest("warm")
            request.batch = batch
            try send(request)
            let answer = try receive(until: limit, while: "warming up a batch of \(batch)")
            if let note = answer.note {
                logger.warning("\(options.name): a batch of \(batch) \(note)")
            }
            times.append(.init(batch: batch, infer: Self.duration(answer.inferNs, atMost: options.loadTimeout)))
        }
        return times.reversed()
    }

    /// One inference. A failure of the policy is an answer; a child that is lost is an error.
    func run(
        _ batch: [PolicyInput],
        of policy: PolicyDescription
    ) throws(Lost) -> Result<BatchResult, WorkerError> {
        guard let arena else { throw Lost(reason: "it was never warmed up") }
        let started = MonotonicInstant.now()
        lastID += 1
        var request = ChildRequest("run")
        request.id = lastID
        request.rows = batch.enumerated().map { row, input in
            for (image, pixels) in zip(policy.images, input.images) { arena.write(pixels, to: image.key, row: row) }
            arena.write(input.state, to: ArenaLayout.state, row: row)
            arena.write(input.prefix, to: ArenaLayout.prefix, row: row)
            let task = Array(input.task.utf8)
            arena.write(task, to: ArenaLayout.task, row: row)
            return .init(
                taskBytes: task.count,
                prefixRows: input.prefixRows,
                frozenRows: input.frozenRows,
                seed: input.noiseSeed
            )
        }
        try send(request)
        let message = try receive(
            until: .now() + options.inferenceTimeout,
            while: "running a batch of \(batch.count)",
            mayFail: true
        )
        if let kind = message.error {
            if kind == "device_lost" {
                process.kill()
                throw Lost(reason: "its GPU no longer answers after: \(message.message ?? "no reason given")")
            }
            let what = kind == "out_of_memory" ? "ran out of memory with a batch of \(batch.count)" : "failed"
            return .failure(
                WorkerError(
                    kind == "out_of_memory" ? .outOfMemory : .inferenceFailed,
                    "Checkpoint \(policy.checkpoint) \(what): \(message.message ?? "no reason given")"
                )
            )
        }
        guard message.done == lastID else {
            throw Lost(reason: "it answered another request than the one asked")
        }
        let chunks = batch.indices.map { row in
            ChunkCheck.finite(arena.floats(in: ArenaLayout.chunk, row: row), of: policy)
        }
        let infer = Self.duration(message.inferNs, atMost: options.inferenceTimeout)
        let postprocess = Self.duration(message.postprocessNs, atMost: options.inferenceTimeout)
        // Copies and the way to the child and back count as preprocessing, so that the stages add up.
        let rest = max(.zero, MonotonicInstant.now() - started - infer - postprocess)
        return .success(BatchResult(chunks: chunks, preprocess: rest, infer: infer, postprocess: postprocess))
    }

    /// A time as the child says it: never negative, never longer than it was given.
    private static func duration(_ nanoseconds: Int64?, atMost limit: Duration) -> Duration {
        min(max(.zero, .nanoseconds(nanoseconds ?? 0)), limit)
    }

    /// Ends the process. Any thread: it is how a child that hangs is ended while its thread waits for it.
    nonisolated func kill() { process.kill() }

    private func send(_ request: ChildRequest) throws(Lost) {
        do {
            try socket.send(request)
        } catch {
            throw lost(error, while: "being told to \(request.do)")
        }
    }

    private func receive(
        until limit: MonotonicInstant,
        while doing: String,
        mayFail: Bool = false
    ) throws(Lost) -> ChildMessage {
        let message: ChildMessage
        do {
            message = try socket.receive(until: limit)
        } catch {
            throw lost(error, while: doing)
        }
        if let kind = message.error, !mayFail {
            process.kill()
            let hint = kind == "out_of_memory" ? "; take a smaller --max-batch" : ""
            throw Lost(reason: "\(message.message ?? kind)\(hint)", worthRestarting: false)
        }
        return message
    }

    private func lost(_ failure: ControlSocket.Failure, while doing: String, restart: Bool = true) -> Lost {
        // A child that hangs must not keep its memory.
        if failure != .closed { process.kill() }
        let reason =
            switch failure {
            case .closed: "\(process.ending()) while \(doing)"
            case .timedOut: "it did not answer in time while \(doing) and was ended"
            case .malformed(let text): "it said something unexpected while \(doing): \(text)"
            }
        let output = process.lastOutput()
        return Lost(reason: output.isEmpty ? reason : "\(reason); its last words: \(output)", worthRestarting: restart)
    }
}

// Folders.
extension PythonChild {
    /// Memory that is a file without a disk behind it, where the system has such a folder.
    private static let memoryFolder =
        FileManager.default.isWritableFile(atPath: "/dev/shm")
        ? "/dev/shm" : FileManager.default.temporaryDirectory.path

    private static func privateFolder() throws(WorkerError) -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "groot-python-\(UUID().uuidString.prefix(8))"
        )
        do {
            try FileManager.default.createDirectory(
                at: folder,
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "The folder \(folder.path) for the Python child cannot be made; is the disk full?",
                cause: error
            )
        }
        return folder
    }

    private static func remove(_ folder: URL) {
        // Nothing depends on it: the next child has a folder of its own.
        try? FileManager.default.removeItem(at: folder)
    }
}
