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
        var missedCycles: UInt64
        var chunks: UInt64
        var failedInferences: UInt64
        var latencyP50Ms: Double?
        var latencyP99Ms: Double?
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
            missedCycles: counters.missedCycles,
            chunks: counters.chunks,
            failedInferences: tally.failed,
            latencyP50Ms: tally.latency(0.5)?.milliseconds,
            latencyP99Ms: tally.latency(0.99)?.milliseconds,
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
