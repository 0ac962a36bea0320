import GRPCCore
import GrootAPI
import GrootCore
import GrootStore
import Logging
import SwiftProtobuf

/// `groot.v1.Fleet`: reads requests, repairs what is for people, and hands them to the store.
///
/// A reply means that the transaction is committed. A record that cannot be stored as what it is goes into quarantine, and
/// the reply means that it is there; a call is refused only for who makes it, for its size, or when quarantine is full.
struct FleetService: Groot_V1_Fleet.ServiceProtocol {
    private let store: Store
    private let gateway: String
    /// Nil: workers cannot register.
    private let directory: WorkerDirectory?
    private let gate: ControlGate
    let instruments: ControlInstruments
    private let logger: Logger

    init(
        store: Store,
        gateway: String,
        directory: WorkerDirectory?,
        gate: ControlGate,
        instruments: ControlInstruments,
        logger: Logger
    ) {
        self.store = store
        self.gateway = gateway
        self.directory = directory
        self.gate = gate
        self.instruments = instruments
        self.logger = logger
    }

    func registerRobot(
        request: ServerRequest<Groot_V1_RegisterRobotRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_RegisterRobotResponse> {
        try checkSpeaker(.registerRobot, request.metadata, about: request.message.robot)
        try takeShare(of: request.message.robot, request.metadata, bytes: 0)
        var repair = newRepair()
        let robot = try refusing { () throws(FieldProblem) in try FleetRequests.robot(request.message, &repair) }
        instruments.repaired(repair.repairs)
        var closed: [String] = []
        try await committing { () throws(StoreError) in closed = try await store.registerRobot(robot) }
        logger.info("robot registered", metadata: ["robot": "\(robot.robot)", "boot": "\(robot.boot)"])
        if !closed.isEmpty {
            logger.warning(
                "closed episodes as aborted that an earlier start of the agent left open",
                metadata: ["robot": "\(robot.robot)", "episodes": "\(closed.prefix(10).joined(separator: ", "))"]
            )
        }
        return ServerResponse(message: .with { $0.gateway = gateway })
    }

    func startEpisode(
        request: ServerRequest<Groot_V1_StartEpisodeRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_StartEpisodeResponse> {
        let message = request.message
        try checkSpeaker(.startEpisode, request.metadata, about: message.robot)
        try takeShare(of: message.robot, request.metadata, bytes: message.runConfigJson.utf8.count)
        var repair = newRepair()
        do {
            let start = try FleetRequests.start(message, &repair)
            instruments.repaired(repair.repairs)
            for reason in repair.leftOut {
                try await setAside([.init(message, reason: reason)], robot: message.robot, boot: message.boot)
            }
            try await keeping(message, robot: message.robot, boot: message.boot) { () throws(StoreError) in
                try await store.startEpisode(start)
            }
        } catch let problem as FieldProblem {
            try await setAside(message, for: problem, robot: message.robot, boot: message.boot)
        }
        return ServerResponse(message: .init())
    }

    func finishEpisode(
        request: ServerRequest<Groot_V1_FinishEpisodeRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_FinishEpisodeResponse> {
        let message = request.message
        try checkSpeaker(.finishEpisode, request.metadata, about: message.robot)
        try takeShare(of: message.robot, request.metadata, bytes: 0)
        var repair = newRepair()
        do {
            let finish = try FleetRequests.finish(message, &repair)
            instruments.repaired(repair.repairs)
            try await keeping(message, robot: message.robot, boot: "") { () throws(StoreError) in
                try await store.finishEpisode(finish)
            }
        } catch let problem as FieldProblem {
            try await setAside(message, for: problem, robot: message.robot, boot: "")
        }
        return ServerResponse(message: .init())
    }

    func reportTelemetry(
        request: ServerRequest<Groot_V1_ReportTelemetryRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_ReportTelemetryResponse> {
        try checkSpeaker(.reportTelemetry, request.metadata, about: request.message.robot)
        let reports = try refusing { () throws(FieldProblem) in
            try TelemetryReports(request.message, newRepair())
        }
        try takeShare(
            of: request.message.robot,
            request.metadata,
            rows: request.message.recordCount,
            bytes: reports.batch.byteCount
        )
        instruments.repaired(reports.repair.repairs)
        try await setAside(reports.unstorable, robot: reports.batch.robot, boot: reports.batch.boot)
        try await keep(reports.batch, of: request.message)
        return ServerResponse(message: .with { $0.committedSequence = request.message.highestSequence })
    }

    func assignRunConfig(
        request: ServerRequest<Groot_V1_AssignRunConfigRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_AssignRunConfigResponse> {
        try checkSpeaker(.assignRunConfig, request.metadata, about: request.message.robot)
        let question = try refusing { () throws(FieldProblem) in try FleetRequests.assignment(request.message) }
        let assigned: RunConfigVersion?
        do throws(StoreError) {
            assigned = try await store.assignedRunConfig(question)
        } catch {
            throw RPCError(error)
        }
        return ServerResponse(
            message: .with {
                guard let assigned else { return }
                $0.name = assigned.id.name
                $0.version = UInt32(assigned.id.version)
                $0.configJson = assigned.configJSON
                $0.checkpoint = assigned.checkpoint
            }
        )
    }

    func registerWorker(
        request: ServerRequest<Groot_V1_RegisterWorkerRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_RegisterWorkerResponse> {
        guard let directory else {
            throw RPCError(code: .unimplemented, message: "this gateway takes workers from --workers only")
        }
        let registration = try refusing { () throws(FieldProblem) in try WorkerRegistration(request.message) }
        try checkSpeaker(.registerWorker, request.metadata, about: registration.worker)
        let lease = try registration.carryOut(directory)
        return ServerResponse(message: .with { $0.leaseNs = UInt64(lease.nanoseconds) })
    }
}

// What the calls share.
extension FleetService {
    private func newRepair() -> FieldRepair { FieldRepair(receivedAt: WallClock.unixNanoseconds()) }

    private func checkSpeaker(_ call: ControlCall, _ metadata: Metadata, about name: String) throws(RPCError) {
        let refusal = ControlRules.refusal(
            call,
            of: Array(metadata[stringValues: MetadataKey.peer]),
            speaking: Array(metadata[stringValues: MetadataKey.robot]),
            about: name
        )
        guard let refusal else { return }
        instruments.forbade()
        throw RPCError(code: .permissionDenied, message: refusal)
    }

    private func takeShare(of robot: String, _ metadata: Metadata, rows: Int = 1, bytes: Int) throws(RPCError) {
        try gate.stores(rows: rows, bytes: bytes, for: ControlGate.identity(metadata) ?? "robot \(robot)")
    }

    private func refusing<Value>(_ body: () throws(FieldProblem) -> Value) throws(RPCError) -> Value {
        do throws(FieldProblem) {
            return try body()
        } catch {
            throw error.refusal
        }
    }

    private func committing(_ body: () async throws(StoreError) -> Void) async throws(RPCError) {
        do throws(StoreError) {
            try await body()
        } catch {
            throw RPCError(error)
        }
    }

    /// Commits, or sets the message aside when the database says that it cannot be stored.
    private func keeping(
        _ message: some Message,
        robot: String,
        boot: String,
        _ body: () async throws(StoreError) -> Void
    ) async throws(RPCError) {
        do throws(StoreError) {
            try await body()
        } catch {
            guard error.code == .invalidValue else { throw RPCError(error) }
            try await setAside([.init(message, reason: error.message)], robot: robot, boot: boot)
        }
    }

    /// Commits a report; when the database refuses a value, the records that are not to blame all the same.
    private func keep(
        _ batch: TelemetryBatch,
        of request: Groot_V1_ReportTelemetryRequest
    ) async throws(RPCError) {
        do throws(StoreError) {
            try await store.insertTelemetry(batch)
        } catch {
            guard error.code == .invalidValue else { throw RPCError(error) }
            guard let halves = request.halves else {
                let record = request.onlyRecord(reason: error.message)
                try await setAside(record.map { [$0] } ?? [], robot: batch.robot, boot: batch.boot)
                return
            }
            for half in [halves.0, halves.1] {
                let reports = try refusing { () throws(FieldProblem) in try TelemetryReports(half, newRepair()) }
                try await keep(reports.batch, of: half)
            }
        }
    }

    private func setAside(
        _ message: some Message,
        for problem: FieldProblem,
        robot: String,
        boot: String
    ) async throws(RPCError) {
        try await setAside([.init(message, reason: problem.message)], robot: robot, boot: boot)
    }

    /// Into quarantine: once it is there, it counts as committed.
    private func setAside(_ records: [QuarantinedRecord], robot: String, boot: String) async throws(RPCError) {
        guard let first = records.first else { return }
        // Without a name there is nobody to keep it for.
        _ = try refusing { () throws(FieldProblem) in try FieldReader.name(robot, "robot") }
        let boot = PeopleText.clean(boot, limit: FieldLimit.name)
        var kept = 0
        try await committing { () throws(StoreError) in
            kept = try await store.quarantine(records, robot: robot, boot: boot)
        }
        guard kept > 0 else { return }
        logger.warning(
            "records in quarantine: they cannot be stored as what they are",
            metadata: ["robot": "\(robot)", "count": "\(kept)", "error": "\(first.reason)"]
        )
    }
}

extension RPCError {
    /// What a caller is told about a failure of the store.
    init(_ error: StoreError) {
        let retry = "nothing was acknowledged; keep it and try again in a second"
        switch error.code {
        // The server's set-up is wrong: nothing is wrong with what the caller sent, and somebody will repair it.
        case .unavailable, .readOnly, .timedOut, .busy, .encoding, .rights, .schemaOutdated, .schemaNewer,
            .migrationChanged, .rejected, .toolsMissing, .stateDirectory, .clusterFailed:
            self.init(code: .unavailable, message: "\(error.message); \(retry)", cause: error)
        case .invalidValue:
            self.init(code: .invalidArgument, message: error.message, cause: error)
        case .notFound:
            self.init(code: .notFound, message: error.message, cause: error)
        case .conflict:
            self.init(code: .failedPrecondition, message: error.message, cause: error)
        }
    }
}
