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
            throw FieldReader.problem(
                "mode",
                "must be \"async\", \"sync\" or \"rtc\", not \"\(request.mode.prefix(64))\""
            )
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
            startedAtUnixNanoseconds: try FieldReader.wallClock(request.startedAtUnixNs, "started_at_unix_ns"),
            runConfig: try runConfig(request)
        )
    }

    private static func runConfig(_ request: Groot_V1_StartEpisodeRequest) throws(RPCError) -> RunConfigName? {
        guard !request.runConfigName.isEmpty else { return nil }
        return RunConfigName(
            name: try FieldReader.name(request.runConfigName, "run_config_name"),
            version: try FieldReader.small(request.runConfigVersion, "run_config_version")
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
            failedInferences: try FieldReader.count(request.failedInferences, "failed_inferences"),
            notes: try FieldReader.text(request.notes, "notes", limit: FieldLimit.reason)
        )
    }
}

extension FleetRequests {
    /// Who asks for a run config, and for which episode.
    static func assignment(_ request: Groot_V1_AssignRunConfigRequest) throws(RPCError) -> RunConfigQuestion {
        RunConfigQuestion(
            robot: try FieldReader.name(request.robot, "robot"),
            task: try FieldReader.text(request.task, "task", limit: FieldLimit.task),
            episode: request.episodeID.isEmpty ? nil : try FieldReader.uuid(request.episodeID, "episode_id")
        )
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
