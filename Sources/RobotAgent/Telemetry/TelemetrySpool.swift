package import Foundation
import GRPCCore
package import GrootAPI
import GrootCore
package import Logging
import SwiftProtobuf

/// The control plane as telemetry needs it.
package protocol FleetReporting: Sendable {
    func register(_ request: Groot_V1_RegisterRobotRequest) async throws
    func start(_ request: Groot_V1_StartEpisodeRequest) async throws
    func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws
    /// Returns the highest committed sequence.
    func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64
}

/// Keeps what happened until the gateway has committed it; never in the way of control.
///
/// Entries go to disk first and are sent in order, this boot's after those of earlier boots. An entry
/// that the control plane refuses for good (invalid argument) is dropped with an error line, because
/// nothing behind it would ever be sent otherwise.
package actor TelemetrySpool {
    /// Records per call.
    package static let batchSize = 500

    private let logger: Logger
    private var files: [SpoolFile]
    private var refused: UInt64 = 0
    private let signal: AsyncStream<Void>
    private let signalled: AsyncStream<Void>.Continuation
    private var failures = RateLimit(every: .seconds(5))

    package init(
        directory: URL,
        robot: String,
        boot: String,
        limits: SpoolState.Limits = .init(),
        logger: Logger
    ) throws(AgentError) {
        self.logger = logger
        (signal, signalled) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        var files: [SpoolFile] = []
        for old in SpoolFile.leftBehind(in: directory, robot: robot) where old != boot {
            files.append(try SpoolFile(directory: directory, robot: robot, boot: old, limits: limits))
        }
        files.append(try SpoolFile(directory: directory, robot: robot, boot: boot, limits: limits))
        self.files = files
        let waiting = files.reduce(0) { $0 + $1.state.waitingCount }
        if waiting > 0 {
            logger.info("an earlier run left telemetry to report", metadata: ["count": "\(waiting)"])
        }
    }

    package func append(_ request: Groot_V1_RegisterRobotRequest) {
        store(.register) { _ in try request.serializedBytes() }
    }

    package func append(_ request: Groot_V1_StartEpisodeRequest) {
        store(.start) { _ in try request.serializedBytes() }
    }

    package func append(_ request: Groot_V1_FinishEpisodeRequest) {
        store(.finish) { _ in try request.serializedBytes() }
    }

    package func append(_ record: Groot_V1_InferenceRecord) {
        store(.inference) { number in
            var record = record
            record.sequence = number
            return try record.serializedBytes()
        }
    }

    /// Entries that are not committed yet.
    package var waitingCount: Int { files.reduce(0) { $0 + $1.state.waitingCount } }
    /// Records that found the spool full.
    package var droppedCount: UInt64 { files.reduce(0) { $0 + $1.state.dropped } }

    /// Sends until cancelled. Failures are repeated with growing, jittered pauses.
    package func run(to fleet: some FleetReporting) async {
        var pause = Duration.milliseconds(200)
        var limit = Self.batchSize
        while !Task.isCancelled {
            removeFinishedFiles()
            guard let index = files.firstIndex(where: { !$0.state.isEmpty }),
                let batch = files[index].state.nextBatch(limit: limit)
            else {
                for await _ in signal { break }
                continue
            }
            let file = files[index]
            do {
                let committed = try await send(batch, of: file, to: fleet)
                commit(boot: file.boot, through: committed)
                pause = .milliseconds(200)
            } catch {
                if let failure = error as? RPCError, failure.code == .invalidArgument {
                    if batch.count > 1 {
                        // One of many: find it.
                        limit = 1
                        continue
                    }
                    logger.error(
                        "the control plane refuses a record for good",
                        metadata: ["error": "\(failure.message)"]
                    )
                    refused += 1
                    commit(boot: file.boot, through: batch.lastNumber)
                    limit = Self.batchSize
                    continue
                }
                if Task.isCancelled { return }
                if let suppressed = failures.admit(at: .now()) {
                    logger.warning(
                        "telemetry waits on disk",
                        metadata: ["error": "\(error)", "waiting": "\(waitingCount)", "suppressed": "\(suppressed)"]
                    )
                }
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private func send(
        _ batch: SpoolState.Batch,
        of file: SpoolFile,
        to fleet: some FleetReporting
    ) async throws -> UInt64 {
        switch batch {
        case .register(let entry):
            try await fleet.register(Groot_V1_RegisterRobotRequest(serializedBytes: entry.payload))
        case .start(let entry):
            try await fleet.start(Groot_V1_StartEpisodeRequest(serializedBytes: entry.payload))
        case .finish(let entry):
            try await fleet.finish(Groot_V1_FinishEpisodeRequest(serializedBytes: entry.payload))
        case .inferences(let entries):
            var request = Groot_V1_ReportTelemetryRequest()
            request.robot = file.robot
            request.boot = file.boot
            request.inferences = try entries.map { try Groot_V1_InferenceRecord(serializedBytes: $0.payload) }
            let committed = try await fleet.report(request)
            guard committed >= firstNumber(of: batch) else {
                throw AgentError(.unavailable, "the control plane answered without committing anything")
            }
            return min(committed, batch.lastNumber)
        }
        return batch.lastNumber
    }

    private func commit(boot: String, through number: UInt64) {
        guard let index = files.firstIndex(where: { $0.boot == boot }) else { return }
        do {
            try files[index].committed(through: number)
        } catch {
            logger.error("the spool cannot be written", metadata: ["error": "\(error)"])
        }
    }

    private func store(_ kind: SpoolEntry.Kind, payload: (UInt64) throws -> [UInt8]) {
        do {
            try files[files.count - 1].append(kind, payload: payload)
        } catch {
            logger.error("the spool cannot be written", metadata: ["error": "\(error)"])
        }
        signalled.yield()
    }

    /// Earlier boots that have nothing to say any more leave the disk; the current one stays last.
    private func removeFinishedFiles() {
        for index in files.indices.dropLast().reversed() where files[index].state.isEmpty {
            do {
                try files[index].remove()
            } catch {
                logger.warning("a finished spool file could not be removed", metadata: ["error": "\(error)"])
            }
            files.remove(at: index)
        }
    }

    /// Removes the current boot's file too when it is empty; the last call of a run.
    package func close() {
        removeFinishedFiles()
        guard let last = files.last, files.count == 1, last.state.isEmpty else { return }
        do {
            try last.remove()
            files.removeAll()
        } catch {
            logger.warning("a finished spool file could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func firstNumber(of batch: SpoolState.Batch) -> UInt64 {
        if case .inferences(let entries) = batch { return entries.first?.number ?? 0 }
        return batch.lastNumber
    }
}
