import GRPCCore
import GrootAPI
import GrootCore
import GrootStore
import Logging
import SwiftProtobuf

/// `groot.v1.Fleet`: checks requests and hands them to the store.
///
/// A reply means that the transaction is committed.
struct FleetService: Groot_V1_Fleet.ServiceProtocol {
    private let store: Store
    private let gateway: String
    /// Nil: workers cannot register.
    private let directory: WorkerDirectory?
    private let logger: Logger

    init(store: Store, gateway: String, directory: WorkerDirectory?, logger: Logger) {
        self.store = store
        self.gateway = gateway
        self.directory = directory
        self.logger = logger
    }

    func registerRobot(
        request: ServerRequest<Groot_V1_RegisterRobotRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_RegisterRobotResponse> {
        let robot = try FleetRequests.robot(request.message)
        try Self.checkSpeaker(request.metadata, robot.robot)
        try await committing { () throws(StoreError) in try await store.registerRobot(robot) }
        logger.info("robot registered", metadata: ["robot": "\(robot.robot)", "boot": "\(robot.boot)"])
        return ServerResponse(message: .with { $0.gateway = gateway })
    }

    func startEpisode(
        request: ServerRequest<Groot_V1_StartEpisodeRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_StartEpisodeResponse> {
        let start = try FleetRequests.start(request.message)
        try Self.checkSpeaker(request.metadata, start.robot)
        try await committing { () throws(StoreError) in try await store.startEpisode(start) }
        return ServerResponse(message: .init())
    }

    func finishEpisode(
        request: ServerRequest<Groot_V1_FinishEpisodeRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_FinishEpisodeResponse> {
        let finish = try FleetRequests.finish(request.message)
        try Self.checkSpeaker(request.metadata, finish.robot)
        try await committing { () throws(StoreError) in try await store.finishEpisode(finish) }
        return ServerResponse(message: .init())
    }

    func reportTelemetry(
        request: ServerRequest<Groot_V1_ReportTelemetryRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_ReportTelemetryResponse> {
        let batch = try TelemetryReports.batch(request.message)
        try Self.checkSpeaker(request.metadata, batch.robot)
        try await committing { () throws(StoreError) in try await store.insertTelemetry(batch) }
        // One transaction: all of the request is committed.
        return ServerResponse(message: .with { $0.committedSequence = UInt64(batch.highestSequence ?? 0) })
    }

    func assignRunConfig(
        request: ServerRequest<Groot_V1_AssignRunConfigRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_AssignRunConfigResponse> {
        let question = try FleetRequests.assignment(request.message)
        try Self.checkSpeaker(request.metadata, question.robot)
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
        let registration = try WorkerRegistration(request.message)
        try registration.check(peers: Array(request.metadata[stringValues: MetadataKey.peer]))
        let lease = try registration.carryOut(directory)
        return ServerResponse(message: .with { $0.leaseNs = UInt64(lease.nanoseconds) })
    }

    /// The robot that the metadata names, when it names one, must be the robot in the body.
    private static func checkSpeaker(_ metadata: Metadata, _ robot: String) throws(RPCError) {
        for speaker in metadata[stringValues: MetadataKey.robot] where speaker != robot {
            throw RPCError(
                code: .permissionDenied,
                message: "metadata \(MetadataKey.robot) says \"\(speaker)\", the request speaks for \"\(robot)\""
            )
        }
    }

    private func committing(_ body: () async throws(StoreError) -> Void) async throws(RPCError) {
        do throws(StoreError) {
            try await body()
        } catch {
            throw RPCError(error)
        }
    }
}

extension RPCError {
    /// What a caller is told about a failure of the store.
    init(_ error: StoreError) {
        let retry = "nothing was acknowledged; keep it and try again in a second"
        switch error.code {
        case .unavailable, .timedOut, .busy:
            self.init(code: .unavailable, message: "\(error.message); \(retry)", cause: error)
        case .invalidValue:
            self.init(code: .invalidArgument, message: error.message, cause: error)
        case .notFound:
            self.init(code: .notFound, message: error.message, cause: error)
        case .conflict:
            self.init(code: .failedPrecondition, message: error.message, cause: error)
        case .rejected, .schemaOutdated, .schemaNewer, .migrationChanged, .toolsMissing, .stateDirectory,
            .clusterFailed:
            self.init(code: .internalError, message: error.message, cause: error)
        }
    }
}
