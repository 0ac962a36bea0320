package import Foundation
import GRPCCore
package import GrootAPI
package import GrootCore
package import Logging
import SwiftProtobuf
import Synchronization

/// The control plane as telemetry needs it.
package protocol FleetReporting: Sendable {
    func register(_ request: Groot_V1_RegisterRobotRequest) async throws
    func start(_ request: Groot_V1_StartEpisodeRequest) async throws
    func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws
    /// Returns the highest committed sequence.
    func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64
}

/// Keeps what happened on disk until the gateway has committed it; never in the way of control.
///
/// Any thread; the files are behind one lock that is held for a write, never for a wait on the network or for the disk
/// to be safe. When `append` returns, the entry survives the death of the process; entries about episodes survive a loss
/// of power as well, details within `synchronizeInterval`. Entries that the control plane refuses for good leave the spool
/// with an error line, because nothing behind them would ever be sent otherwise; they are kept beside its files (`RefusedEntries`).
package final class TelemetrySpool: Sendable {
    /// Records per call.
    package static let batchSize = 1000
    /// Details wait so long for company, unless a call is full.
    static let linger: Duration = .milliseconds(500)
    /// Details that are older than this survive a loss of power.
    static let synchronizeInterval: Duration = .seconds(1)

    private struct State {
        var store: SpoolStore
        var failures = RateLimit(every: .seconds(5))
        var problems = RateLimit(every: .seconds(5))
        var lossesSaid: UInt64 = 0
    }

    private let robot: String
    private let logger: Logger
    private let storage: any SpoolStorage
    private let state: Mutex<State>
    private let metrics: SpoolMetrics
    private let signal: AsyncStream<Void>
    private let signalled: AsyncStream<Void>.Continuation

    /// - Throws: `AgentError` when the directory cannot be used or another agent uses it.
    package convenience init(
        directory: URL,
        robot: String,
        boot: String,
        limits: SpoolState.Limits = .init(),
        metrics: MetricsRegistry = MetricsRegistry(),
        logger: Logger
    ) throws(AgentError) {
        let folder = try SpoolFolder(directory)
        try self.init(
            storage: folder,
            refused: folder,
            robot: robot,
            boot: boot,
            limits: limits,
            metrics: metrics,
            logger: logger
        )
    }

    /// - Parameter refused: where entries are kept that the control plane refuses for good; nil only counts them.
    package init(
        storage: any SpoolStorage,
        refused: (any SpoolStorage)? = nil,
        robot: String,
        boot: String,
        limits: SpoolState.Limits = .init(),
        metrics: MetricsRegistry = MetricsRegistry(),
        logger: Logger
    ) throws(AgentError) {
        self.robot = robot
        self.logger = logger
        self.storage = storage
        self.metrics = SpoolMetrics(metrics)
        (signal, signalled) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let store: SpoolStore
        do {
            store = try SpoolStore(storage: storage, refused: refused, robot: robot, boot: boot, limits: limits)
        } catch {
            throw AgentError(.spool, "the spool cannot be read; choose another --state-dir", cause: error)
        }
        state = Mutex(State(store: store))
        self.metrics.update(store)
        let waiting = store.waitingCount
        if waiting > 0 {
            logger.info("an earlier run left telemetry to report", metadata: ["count": "\(waiting)"])
        }
    }

    package func append(_ request: Groot_V1_RegisterRobotRequest) async {
        keep(.register) { _ in try request.withCleanTexts.serializedBytes() }
    }

    package func append(_ request: Groot_V1_StartEpisodeRequest) async {
        keep(.start) { _ in try request.withCleanTexts.serializedBytes() }
    }

    package func append(_ request: Groot_V1_FinishEpisodeRequest) async {
        keep(.finish) { _ in try request.withCleanTexts.serializedBytes() }
    }

    package func append(_ record: Groot_V1_InferenceRecord) async {
        keep(.inference) { number in
            var record = record.withCleanTexts
            record.sequence = number
            return try record.serializedBytes()
        }
    }

    package func append(_ sample: Groot_V1_ControlSample) async {
        keep(.controlSample) { number in
            var sample = sample
            sample.sequence = number
            return try sample.serializedBytes()
        }
    }

    package func append(_ event: Groot_V1_Event) async {
        keep(.event) { number in
            var event = event.withCleanTexts
            event.sequence = number
            return try event.serializedBytes()
        }
    }

    package func append(_ thumbnail: Groot_V1_Thumbnail) async {
        keep(.thumbnail) { number in
            var thumbnail = thumbnail
            thumbnail.sequence = number
            return try thumbnail.serializedBytes()
        }
    }

    /// Entries that are not committed yet.
    package var waitingCount: Int { get async { state.withLock { $0.store.waitingCount } } }
    /// Entries that were given up since the start.
    package var droppedCount: UInt64 { get async { losses.total } }
    package var losses: SpoolLosses { state.withLock { $0.store.losses } }

    /// Deletes files of which everything is committed; the last call of a run.
    package func close() async {
        state.withLock { $0.store.removeFinished() }
    }

    private func keep(_ kind: SpoolEntry.Kind, payload: (UInt64) throws -> [UInt8]) {
        let result = Result { () throws -> String? in
            try state.withLock { state in
                let file = try state.store.append(kind, payload: payload)
                metrics.update(state.store)
                complain(&state)
                return file
            }
        }
        switch result {
        case .success(let file):
            // Outside the lock: a slow disk must not hold up those who add details.
            if kind.lane == .episodes, let file { synchronize(file) }
        case .failure(let error):
            logger.error("a record cannot be encoded", metadata: ["error": "\(error)"])
        }
        signalled.yield()
    }

    /// Says what went wrong with the disk and what was lost, at most every few seconds.
    private func complain(_ state: inout State) {
        let lost = state.store.losses.total
        guard state.store.lastProblem != nil || lost > state.lossesSaid,
            let suppressed = state.problems.admit(at: .now())
        else { return }
        var metadata: Logger.Metadata = ["lost": "\(lost)", "suppressed": "\(suppressed)"]
        if let problem = state.store.lastProblem { metadata["error"] = "\(problem)" }
        state.lossesSaid = lost
        logger.error("the spool cannot keep everything; the least important goes first", metadata: metadata)
    }

    private func synchronize(_ file: String) {
        do throws(SpoolStorageError) {
            try storage.synchronize(file)
        } catch {
            logger.warning("the spool may not survive a loss of power", metadata: ["error": "\(error)"])
        }
    }
}

extension TelemetrySpool {
    /// Sends until cancelled. Failures are repeated with growing, jittered pauses.
    package func run(to fleet: some FleetReporting) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepSynchronized() }
            await send(to: fleet)
            group.cancelAll()
        }
    }

    private func keepSynchronized() async {
        while !Task.isCancelled {
            for file in state.withLock({ $0.store.takeUnsynchronized() }) { synchronize(file) }
            // Cancellation is seen at the head of the loop.
            try? await Task.sleep(for: Self.synchronizeInterval)
        }
    }

    private func send(to fleet: some FleetReporting) async {
        var pause = Duration.milliseconds(200)
        var limit = Self.batchSize
        while !Task.isCancelled {
            guard let batch = state.withLock({ $0.store.nextBatch(limit: limit) }) else {
                for await _ in signal { break }
                continue
            }
            do {
                try await send(batch, to: fleet)
                finish(batch)
                pause = .milliseconds(200)
                limit = Self.batchSize
                await waitForCompany(after: batch)
            } catch {
                if let refusal = Self.refusal(error) {
                    if batch.entries.count > 1 {
                        // One of many: find it.
                        limit = max(1, batch.entries.count / 2)
                        continue
                    }
                    logger.error(
                        "a record is refused for good; it is kept beside the spool",
                        metadata: ["error": "\(refusal)"]
                    )
                    finish(batch, refusedBecause: refusal)
                    limit = Self.batchSize
                    continue
                }
                if Task.isCancelled { return }
                report(error)
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private func send(_ batch: SpoolStore.Batch, to fleet: some FleetReporting) async throws {
        guard let first = batch.entries.first else { return }
        switch first.kind {
        case .register: try await fleet.register(Groot_V1_RegisterRobotRequest(serializedBytes: first.payload))
        case .start: try await fleet.start(Groot_V1_StartEpisodeRequest(serializedBytes: first.payload))
        case .finish: try await fleet.finish(Groot_V1_FinishEpisodeRequest(serializedBytes: first.payload))
        case .inference, .controlSample, .event, .thumbnail, .drops:
            var request = Groot_V1_ReportTelemetryRequest()
            request.robot = robot
            request.boot = batch.boot
            var highest: UInt64 = 0
            for entry in batch.entries {
                switch entry.kind {
                case .inference: request.inferences.append(try .init(serializedBytes: entry.payload))
                case .controlSample: request.controlSamples.append(try .init(serializedBytes: entry.payload))
                case .event: request.events.append(try .init(serializedBytes: entry.payload))
                case .thumbnail: request.thumbnails.append(try .init(serializedBytes: entry.payload))
                case .drops: request.drops = try .init(serializedBytes: entry.payload)
                case .register, .start, .finish: continue
                }
                if entry.kind.lane == .details { highest = max(highest, entry.number) }
            }
            guard try await fleet.report(request) >= highest else {
                throw AgentError(.unavailable, "the control plane answered without committing everything")
            }
        }
    }

    private func finish(_ batch: SpoolStore.Batch, refusedBecause reason: String? = nil) {
        state.withLock { state in
            if let reason {
                state.store.refused(batch, because: reason)
            } else {
                state.store.committed(batch)
            }
            metrics.update(state.store)
        }
    }

    /// A call for every single record would cost the database more than the record.
    private func waitForCompany(after batch: SpoolStore.Batch) async {
        let waits = state.withLock { state in
            switch batch.entries.first?.kind.lane {
            // Thumbnails go right behind the details, else new details would always come first.
            case .details: state.store.waitingDetails < Self.batchSize / 2 && state.store.waitingPictures == 0
            case .pictures: state.store.waitingDetails < Self.batchSize / 2 && state.store.waitingPictures < 8
            case .episodes, nil: false
            }
        }
        guard waits else { return }
        // Cancellation is seen by the caller.
        try? await Task.sleep(for: Self.linger)
    }

    private func report(_ error: any Error) {
        let said = state.withLock { state in
            state.failures.admit(at: .now()).map { (suppressed: $0, waiting: state.store.waitingCount) }
        }
        guard let said else { return }
        logger.warning(
            "telemetry waits on disk",
            metadata: ["error": "\(error)", "waiting": "\(said.waiting)", "suppressed": "\(said.suppressed)"]
        )
    }

    /// Answers that no repetition changes. A wrong identity is not among them: its certificate can be corrected.
    private static func refusal(_ error: any Error) -> String? {
        // What another version of this program wrote and this one cannot read never will be sent.
        if error is BinaryDecodingError { return "the entry cannot be read: \(error)" }
        guard let error = error as? RPCError else { return nil }
        switch error.code {
        case .invalidArgument, .failedPrecondition: return PeopleText.clean(error.message, limit: 2048)
        default: return nil
        }
    }
}
