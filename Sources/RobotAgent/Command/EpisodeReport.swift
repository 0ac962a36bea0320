import Foundation
package import GrootAPI
package import GrootCore

/// One finished episode: what the control plane stores and what `--json` prints.
package struct EpisodeReport: Sendable {
    package var id: String
    package var robot: String
    package var index: Int
    package var seed: Int64?
    package var task: String
    package var mode: RequestPlanner.Mode
    package var checkpoint: String
    package var verdict: EpisodeMachine.Verdict
    package var counters: EpisodeCounters
    package var tally: UplinkTally
    /// What a tick of the counters lasts.
    package var tick: Duration
    /// Distance of a control tick from its deadline.
    package var jitterP99 = Duration.zero
    package var notes = ""

    /// Mean age of the observation that an executed action rests on; nil when nothing aged was executed.
    package var observationAge: Duration? {
        guard counters.agedTicks > 0 else { return nil }
        return tick * (Double(counters.ageSum) / Double(counters.agedTicks))
    }

    package var finishRequest: Groot_V1_FinishEpisodeRequest {
        var request = Groot_V1_FinishEpisodeRequest()
        request.episodeID = id
        request.robot = robot
        request.outcome = Groot_V1_Outcome(verdict.outcome)
        request.reason = verdict.reason
        request.decidedBy = verdict.decidedBy.rawValue
        request.finishedAtUnixNs = WallClock.unixNanoseconds()
        request.durationNs = UInt64(max(0, verdict.duration.nanoseconds))
        request.ticks = counters.ticks
        request.starvedTicks = counters.starvedTicks
        request.missedCycles = counters.missedCycles
        request.limitedTicks = counters.limitedTicks
        request.chunks = counters.chunks
        request.failedInferences = tally.failed
        request.notes = notes
        return request
    }

    private struct Line: Encodable {
        var episode: String
        var robot: String
        var index: Int
        var seed: Int64?
        var task: String
        var mode: String
        var checkpoint: String
        var outcome: String
        var reason: String
        var decidedBy: String
        var durationS: Double
        var ticks: UInt64
        var starvedTicks: UInt64
        var limitedTicks: UInt64
        var positionNoiseTicks: UInt64
        var missedCycles: UInt64
        var chunks: UInt64
        var failedInferences: UInt64
        var latencyP50Ms: Double?
        var latencyP99Ms: Double?
        var runwayAtArrivalP5Ms: Double?
        var observationAgeMs: Double?
        var borderStepP95: Float?
        var jitterP99Ms: Double
        var hedged: UInt64
        var imageBytes: UInt64
        var notes: String
        var workers: [String: Int]
    }

    /// One JSON object without a line feed.
    package func jsonLine() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            episode: id,
            robot: robot,
            index: index,
            seed: seed,
            task: task,
            mode: mode.rawValue,
            checkpoint: checkpoint,
            outcome: verdict.outcome.rawValue,
            reason: verdict.reason,
            decidedBy: verdict.decidedBy.rawValue,
            durationS: verdict.duration.seconds,
            ticks: counters.ticks,
            starvedTicks: counters.starvedTicks,
            limitedTicks: counters.limitedTicks,
            positionNoiseTicks: counters.positionNoise,
            missedCycles: counters.missedCycles,
            chunks: counters.chunks,
            failedInferences: tally.failed,
            latencyP50Ms: tally.latency(0.5)?.milliseconds,
            latencyP99Ms: tally.latency(0.99)?.milliseconds,
            runwayAtArrivalP5Ms: UplinkTally.quantile(tally.runwaysAtArrival, 0.05)?.milliseconds,
            observationAgeMs: observationAge?.milliseconds,
            borderStepP95: UplinkTally.quantile(tally.borderSteps, 0.95),
            jitterP99Ms: jitterP99.milliseconds,
            hedged: tally.hedged,
            imageBytes: tally.imageBytes,
            notes: notes,
            workers: tally.workers
        )
        return String(decoding: try encoder.encode(line), as: UTF8.self)
    }
}

extension Groot_V1_Outcome {
    package init(_ outcome: EpisodeOutcome) {
        switch outcome {
        case .success: self = .success
        case .dropped: self = .dropped
        case .wrongBox: self = .wrongBox
        case .timeout: self = .timeout
        case .refused: self = .refused
        case .aborted: self = .aborted
        case .failure: self = .failure
        }
    }
}
