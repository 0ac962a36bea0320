import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootStore

/// Requests of `groot.v1.Fleet` turned into what the store keeps.
///
/// Pure. Fields for people are repaired; a field that decides what the record is, and is not believable, is a problem.
enum FleetRequests {
    static func robot(
        _ request: Groot_V1_RegisterRobotRequest,
        _ repair: inout FieldRepair
    ) throws(FieldProblem) -> RobotRecord {
        RobotRecord(
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            profile: repair.text(request.profile, .profile, limit: FieldLimit.name),
            agentVersion: repair.text(request.agentVersion, .agentVersion, limit: FieldLimit.name),
            host: repair.text(request.host, .host, limit: FieldLimit.name)
        )
    }

    static func start(
        _ request: Groot_V1_StartEpisodeRequest,
        _ repair: inout FieldRepair
    ) throws(FieldProblem) -> EpisodeStart {
        guard !request.task.isEmpty else { throw FieldProblem("task", "must not be empty") }
        let started = repair.clock(request.startedAtUnixNs)
        var start = EpisodeStart(
            episode: try FieldReader.uuid(request.episodeID, "episode_id"),
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            task: repair.text(request.task, .task, limit: FieldLimit.task),
            checkpoint: repair.text(request.checkpoint, .checkpoint, limit: FieldLimit.checkpoint),
            checkpointSHA256: repair.text(request.checkpointSha256, .checkpointSHA256, limit: FieldLimit.name),
            runConfigJSON: repair.runConfig(request.runConfigJson),
            mode: repair.choice(request.mode, .mode),
            sceneSeed: request.hasSceneSeed ? request.sceneSeed : nil,
            startedAtUnixNanoseconds: started.time,
            runConfig: try runConfig(request)
        )
        start.clockCorrected = started.isCorrected
        return start
    }

    private static func runConfig(_ request: Groot_V1_StartEpisodeRequest) throws(FieldProblem) -> RunConfigName? {
        guard !request.runConfigName.isEmpty else { return nil }
        return RunConfigName(
            name: try FieldReader.name(request.runConfigName, "run_config_name"),
            version: try FieldReader.small(request.runConfigVersion, "run_config_version")
        )
    }

    static func finish(
        _ request: Groot_V1_FinishEpisodeRequest,
        _ repair: inout FieldRepair
    ) throws(FieldProblem) -> EpisodeFinish {
        guard let outcome = EpisodeOutcome(request.outcome) else {
            throw FieldProblem("outcome", "must say how the episode ended")
        }
        let finished = repair.clock(request.finishedAtUnixNs)
        var finish = EpisodeFinish(
            episode: try FieldReader.uuid(request.episodeID, "episode_id"),
            robot: try FieldReader.name(request.robot, "robot"),
            outcome: outcome,
            reason: repair.text(request.reason, .reason, limit: FieldLimit.reason),
            decidedBy: repair.choice(request.decidedBy, .decidedBy) ?? .agent,
            finishedAtUnixNanoseconds: finished.time,
            durationNanoseconds: try FieldReader.duration(request.durationNs, "duration_ns"),
            ticks: try FieldReader.count(request.ticks, "ticks"),
            starvedTicks: try FieldReader.count(request.starvedTicks, "starved_ticks"),
            missedCycles: try FieldReader.count(request.missedCycles, "missed_cycles"),
            limitedTicks: try FieldReader.count(request.limitedTicks, "limited_ticks"),
            chunks: try FieldReader.count(request.chunks, "chunks"),
            failedInferences: try FieldReader.count(request.failedInferences, "failed_inferences"),
            notes: repair.text(request.notes, .notes, limit: FieldLimit.reason)
        )
        finish.clockCorrected = finished.isCorrected
        return finish
    }

    /// Who asks for a run config, and for which episode.
    static func assignment(_ request: Groot_V1_AssignRunConfigRequest) throws(FieldProblem) -> RunConfigQuestion {
        RunConfigQuestion(
            robot: try FieldReader.name(request.robot, "robot"),
            task: PeopleText.clean(request.task, limit: FieldLimit.task),
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
