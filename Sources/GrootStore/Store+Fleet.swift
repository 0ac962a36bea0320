import Foundation
import GrootCore

extension Store {
    /// Remembers what an agent said at its start, and closes as aborted what its earlier starts left open.
    ///
    /// - Returns: the episodes that were closed.
    @discardableResult
    package func registerRobot(_ robot: RobotRecord) async throws(StoreError) -> [String] {
        let closed = try await withConnection("register_robot") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                let key: [PostgresValue] = [.text(robot.robot), .text(robot.boot)]
                try connection.run(
                    Queries.registerRobot,
                    key + [.text(robot.profile), .text(robot.agentVersion), .text(robot.host)]
                )
                try connection.run(Queries.saveRobotBoot, key)
                return try connection.fetch(Queries.closeEarlierEpisodes, key)
            }
        }
        countClosed(closed.count, because: .restarted)
        return closed
    }

    /// Closes as aborted the episodes of agents of which nothing was heard for `episodeSilence`.
    ///
    /// An agent that comes back and says how they ended is believed.
    ///
    /// - Returns: the episodes that were closed.
    @discardableResult
    package func closeSilentEpisodes() async throws(StoreError) -> [String] {
        let closed = try await withConnection("close_silent_episodes") { (connection) throws(StoreError) in
            try connection.fetch(Queries.closeSilentEpisodes, [.text("\(configuration.episodeSilence.seconds)")])
        }
        countClosed(closed.count, because: .silent)
        return closed
    }

    /// Remembers a worker and the checkpoints that it serves; those without a digest are left out.
    package func saveWorker(_ worker: WorkerRecord) async throws(StoreError) {
        // Sorted, so that two workers that serve the same checkpoints lock rows in the same order.
        let checkpoints = worker.checkpoints.filter { !$0.sha256.isEmpty }.sorted { $0.sha256 < $1.sha256 }
        try await withConnection("save_worker") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                try connection.run(Queries.saveWorker, [.text(worker.worker), .text(worker.address)])
                for checkpoint in checkpoints {
                    try connection.run(
                        Queries.saveCheckpoint,
                        [
                            .text(checkpoint.sha256), .text(checkpoint.name), .text(checkpoint.policyType),
                            .text(checkpoint.runtime), .text(checkpoint.featuresJSON), .integer(checkpoint.chunkSize),
                            .integer(checkpoint.actionPeriodNanoseconds),
                        ]
                    )
                    try connection.run(
                        Queries.saveWorkerCheckpoint,
                        [.text(worker.worker), .text(checkpoint.sha256)]
                    )
                }
            }
        }
    }

    /// Records the start of an episode; a repetition changes nothing, and the finish may have come first.
    ///
    /// - Throws: `conflict` when the episode belongs to another robot.
    package func startEpisode(_ start: EpisodeStart) async throws(StoreError) {
        try await withConnection("start_episode") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                try connection.run(Queries.ensureRobot, [.text(start.robot)])
                if !start.checkpointSHA256.isEmpty {
                    try connection.run(
                        Queries.ensureCheckpoint,
                        [.text(start.checkpointSHA256), .text(start.checkpoint)]
                    )
                }
                let config = try connection.fetch(Queries.saveRunConfig, [.text(start.runConfigJSON)]).first
                let rows = try connection.fetch(
                    Queries.startEpisode,
                    [
                        .text(start.episode.uuidString), .text(start.robot), .text(start.boot), .text(start.task),
                        .text(start.checkpoint),
                        start.checkpointSHA256.isEmpty ? .null : .text(start.checkpointSHA256),
                        .optional(config), .optional(start.mode?.rawValue), .optional(start.sceneSeed),
                        .integer(start.startedAtUnixNanoseconds), .optional(start.runConfig?.name),
                        .optional(start.runConfig.map { Int64($0.version) }), .bool(start.clockCorrected),
                    ]
                )
                guard !rows.isEmpty else { throw Self.otherRobot(start.episode.uuidString, start.robot) }
                if let used = start.runConfig {
                    try connection.run(
                        Queries.useRunConfig,
                        [.text(used.name), .integer(Int64(used.version))]
                    )
                }
            }
        }
    }

    /// Records the end of an episode; the agent's first finish counts, repetitions change nothing.
    ///
    /// - Throws: `conflict` when the episode belongs to another robot.
    package func finishEpisode(_ finish: EpisodeFinish) async throws(StoreError) {
        try await withConnection("finish_episode") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                try connection.run(Queries.ensureRobot, [.text(finish.robot)])
                try connection.run(Queries.reopenEpisode, [.text(finish.episode.uuidString), .text(finish.robot)])
                let rows = try connection.fetch(
                    Queries.finishEpisode,
                    [
                        .text(finish.episode.uuidString), .text(finish.robot), .text(finish.outcome.rawValue),
                        .text(finish.reason), .text(finish.decidedBy.rawValue),
                        .integer(finish.finishedAtUnixNanoseconds), .integer(finish.durationNanoseconds),
                        .integer(finish.ticks), .integer(finish.starvedTicks), .integer(finish.missedCycles),
                        .integer(finish.limitedTicks), .integer(finish.chunks), .integer(finish.failedInferences),
                        finish.notes.isEmpty ? .null : .text(finish.notes), .bool(finish.clockCorrected),
                    ]
                )
                guard !rows.isEmpty else { throw Self.otherRobot(finish.episode.uuidString, finish.robot) }
            }
        }
    }

    private static func otherRobot(_ episode: String, _ robot: String) -> StoreError {
        StoreError(
            .conflict,
            "episode \(episode) belongs to another robot than \(robot); give every episode a new UUID"
        )
    }
}
