import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootStore

/// Requests of `groot.v1.Fleet`, checked field by field and turned into what the store keeps.
///
/// Pure.
enum FleetRequests {
    static func robot(_ request: Groot_V1_RegisterRobotRequest) throws(RPCError) -> RobotRecord {
        RobotRecord(
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            profile: try FieldReader.text(request.profile, "profile", limit: FieldLimit.name),
            agentVersion: try FieldReader.text(request.agentVersion, "agent_version", limit: FieldLimit.name),
            host: try FieldReader.text(request.host, "host", limit: FieldLimit.name)
        )
    }

    static func start(_ request: Groot_V1_StartEpisodeRequest) throws(RPCError) -> EpisodeStart {
        guard let mode = EpisodeStart.Mode(rawValue: request.mode) else {
            throw FieldReader.problem("mode", "must be \"async\" or \"sync\", not \"\(request.mode.prefix(64))\"")
        }
        let digest = try FieldReader.text(request.checkpointSha256, "checkpoint_sha256", limit: FieldLimit.name)
        return EpisodeStart(
            episode: try FieldReader.uuid(request.episodeID, "episode_id"),
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            task: try FieldReader.text(request.task, "task", limit: FieldLimit.task, mayBeEmpty: false),
            checkpoint: try FieldReader.text(request.checkpoint, "checkpoint", limit: FieldLimit.checkpoint),
            checkpointSHA256: digest,
            runConfigJSON: try FieldReader.jsonObject(
                request.runConfigJson,
                "run_config_json",
                limit: FieldLimit.runConfig
            ),
            mode: mode,
            sceneSeed: request.hasSceneSeed ? request.sceneSeed : nil,
            startedAtUnixNanoseconds: try FieldReader.wallClock(request.startedAtUnixNs, "started_at_unix_ns")
        )
    }

    static func finish(_ request: Groot_V1_FinishEpisodeRequest) throws(RPCError) -> EpisodeFinish {
        guard let outcome = EpisodeOutcome(request.outcome) else {
            throw FieldReader.problem("outcome", "must say how the episode ended")
        }
        guard let judge = EpisodeFinish.Judge(rawValue: request.decidedBy) else {
            throw FieldReader.problem(
                "decided_by",
                "must be \"simulator\", \"operator\" or \"agent\", not \"\(request.decidedBy.prefix(64))\""
            )
        }
        return EpisodeFinish(
            episode: try FieldReader.uuid(request.episodeID, "episode_id"),
            robot: try FieldReader.name(request.robot, "robot"),
            outcome: outcome,
            reason: try FieldReader.text(request.reason, "reason", limit: FieldLimit.reason),
            decidedBy: judge,
            finishedAtUnixNanoseconds: try FieldReader.wallClock(request.finishedAtUnixNs, "finished_at_unix_ns"),
            durationNanoseconds: try FieldReader.count(request.durationNs, "duration_ns"),
            ticks: try FieldReader.count(request.ticks, "ticks"),
            starvedTicks: try FieldReader.count(request.starvedTicks, "starved_ticks"),
            missedCycles: try FieldReader.count(request.missedCycles, "missed_cycles"),
            limitedTicks: try FieldReader.count(request.limitedTicks, "limited_ticks"),
            chunks: try FieldReader.count(request.chunks, "chunks"),
            failedInferences: try FieldReader.count(request.failedInferences, "failed_inferences")
        )
    }

    static func inferences(_ request: Groot_V1_ReportTelemetryRequest) throws(RPCError) -> [InferenceRow] {
        let robot = try FieldReader.name(request.robot, "robot")
        let boot = try FieldReader.name(request.boot, "boot")
        guard request.inferences.count <= FieldLimit.batchRecords else {
            throw FieldReader.problem(
                "inferences",
                "has \(request.inferences.count) records; at most \(FieldLimit.batchRecords) are accepted in one call"
            )
        }
        var rows: [InferenceRow] = []
        rows.reserveCapacity(request.inferences.count)
        for (index, record) in request.inferences.enumerated() {
            do throws(RPCError) {
                rows.append(try row(record, robot: robot, boot: boot))
            } catch {
                throw RPCError(code: error.code, message: "inferences[\(index)].\(error.message)")
            }
        }
        return rows
    }

    private static func row(
        _ record: Groot_V1_InferenceRecord,
        robot: String,
        boot: String
    ) throws(RPCError) -> InferenceRow {
        let episode = record.episodeID.isEmpty ? nil : try FieldReader.uuid(record.episodeID, "episode_id")
        let sequence = try FieldReader.count(record.sequence, "sequence")
        var row = InferenceRow(robot: robot, boot: boot, sequence: sequence, episode: episode)
        row.requestID = try FieldReader.text(record.requestID, "request_id", limit: FieldLimit.name)
        row.observationIndex = try FieldReader.count(record.observationIndex, "observation_index")
        row.worker = try FieldReader.text(record.worker, "worker", limit: FieldLimit.name)
        row.checkpoint = try FieldReader.text(record.checkpoint, "checkpoint", limit: FieldLimit.checkpoint)
        row.capturedAtUnixNanoseconds = try FieldReader.wallClock(record.capturedAtUnixNs, "captured_at_unix_ns")
        row.latency = try FieldReader.count(record.latencyNs, "latency_ns")
        row.runwayAtSend = record.runwayAtSendNs
        row.runwayAtArrival = record.runwayAtArrivalNs
        row.rows = try FieldReader.small(record.rows, "rows")
        row.staleRows = try FieldReader.small(record.staleRows, "stale_rows")
        row.attempts = try FieldReader.small(record.attempts, "attempts")
        row.skew = try FieldReader.count(record.skewNs, "skew_ns")
        row.encode = try FieldReader.count(record.encodeNs, "encode_ns")
        row.roundTrip = try FieldReader.count(record.roundTripNs, "round_trip_ns")
        row.workerQueue = try FieldReader.count(record.timings.queueNs, "timings.queue_ns")
        row.workerDecode = try FieldReader.count(record.timings.decodeNs, "timings.decode_ns")
        row.workerPreprocess = try FieldReader.count(record.timings.preprocessNs, "timings.preprocess_ns")
        row.workerInfer = try FieldReader.count(record.timings.inferNs, "timings.infer_ns")
        row.workerPostprocess = try FieldReader.count(record.timings.postprocessNs, "timings.postprocess_ns")
        row.workerEncode = try FieldReader.count(record.timings.encodeNs, "timings.encode_ns")
        row.batchSize = try FieldReader.small(record.batchSize, "batch_size")
        row.status = try FieldReader.name(record.status, "status")
        row.message = try FieldReader.text(record.message, "message", limit: FieldLimit.reason)
        row.requestBytes = try FieldReader.count(record.requestBytes, "request_bytes")
        return row
    }
}

extension EpisodeOutcome {
    /// Nil for an outcome that is unspecified or from a newer agent.
    init?(_ outcome: Groot_V1_Outcome) {
        switch outcome {
        case .success: self = .success
        case .dropped: self = .dropped
        case .wrongBox: self = .wrongBox
        case .timeout: self = .timeout
        case .refused: self = .refused
        case .aborted: self = .aborted
        case .failure: self = .failure
        case .unspecified, .UNRECOGNIZED: return nil
        }
    }
}
