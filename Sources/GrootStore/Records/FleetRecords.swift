package import Foundation
package import GrootCore

/// What an agent says about itself when it starts.
package struct RobotRecord: Sendable, Equatable {
    package var robot: String
    package var boot: String
    package var profile: String
    package var agentVersion: String
    package var host: String

    package init(robot: String, boot: String, profile: String, agentVersion: String, host: String) {
        self.robot = robot
        self.boot = boot
        self.profile = profile
        self.agentVersion = agentVersion
        self.host = host
    }
}

/// A worker and what it serves.
package struct WorkerRecord: Sendable, Equatable {
    package var worker: String
    package var address: String
    package var checkpoints: [CheckpointRecord]

    package init(worker: String, address: String, checkpoints: [CheckpointRecord]) {
        self.worker = worker
        self.address = address
        self.checkpoints = checkpoints
    }
}

/// A checkpoint as a worker describes it.
package struct CheckpointRecord: Sendable, Equatable {
    package var sha256: String
    package var name: String
    package var policyType: String
    package var runtime: String
    /// JSON object: inputs and output by LeRobot key.
    package var featuresJSON: String
    package var chunkSize: Int64
    package var actionPeriodNanoseconds: Int64

    package init(
        sha256: String,
        name: String,
        policyType: String,
        runtime: String,
        featuresJSON: String,
        chunkSize: Int64,
        actionPeriodNanoseconds: Int64
    ) {
        self.sha256 = sha256
        self.name = name
        self.policyType = policyType
        self.runtime = runtime
        self.featuresJSON = featuresJSON
        self.chunkSize = chunkSize
        self.actionPeriodNanoseconds = actionPeriodNanoseconds
    }
}

/// The beginning of an episode.
package struct EpisodeStart: Sendable, Equatable {
    package enum Mode: String, Sendable, CaseIterable {
        case async
        case sync
        case rtc
    }

    package var episode: UUID
    package var robot: String
    package var boot: String
    package var task: String
    package var checkpoint: String
    /// Empty when the agent does not know it.
    package var checkpointSHA256: String
    /// JSON object.
    package var runConfigJSON: String
    /// Nil when the agent named one that this program does not know.
    package var mode: Mode?
    package var sceneSeed: Int64?
    package var startedAtUnixNanoseconds: Int64
    /// The robot's clock was absurd; the time is that of receipt.
    package var clockCorrected = false
    /// The assigned run config that it started from.
    package var runConfig: RunConfigName?

    package init(
        episode: UUID,
        robot: String,
        boot: String,
        task: String,
        checkpoint: String,
        checkpointSHA256: String,
        runConfigJSON: String,
        mode: Mode?,
        sceneSeed: Int64?,
        startedAtUnixNanoseconds: Int64,
        runConfig: RunConfigName? = nil
    ) {
        self.episode = episode
        self.robot = robot
        self.boot = boot
        self.task = task
        self.checkpoint = checkpoint
        self.checkpointSHA256 = checkpointSHA256
        self.runConfigJSON = runConfigJSON
        self.mode = mode
        self.sceneSeed = sceneSeed
        self.startedAtUnixNanoseconds = startedAtUnixNanoseconds
        self.runConfig = runConfig
    }
}

/// The end of an episode.
package struct EpisodeFinish: Sendable, Equatable {
    package enum Judge: String, Sendable, CaseIterable {
        case simulator
        case `operator`
        case agent
    }

    package var episode: UUID
    package var robot: String
    package var outcome: EpisodeOutcome
    package var reason: String
    package var decidedBy: Judge
    package var finishedAtUnixNanoseconds: Int64
    /// The robot's clock was absurd; the time is that of receipt.
    package var clockCorrected = false
    package var durationNanoseconds: Int64
    package var ticks: Int64
    package var starvedTicks: Int64
    package var missedCycles: Int64
    package var limitedTicks: Int64
    package var chunks: Int64
    package var failedInferences: Int64
    /// What the operator wrote.
    package var notes: String

    package init(
        episode: UUID,
        robot: String,
        outcome: EpisodeOutcome,
        reason: String,
        decidedBy: Judge,
        finishedAtUnixNanoseconds: Int64,
        durationNanoseconds: Int64,
        ticks: Int64,
        starvedTicks: Int64,
        missedCycles: Int64,
        limitedTicks: Int64,
        chunks: Int64,
        failedInferences: Int64,
        notes: String = ""
    ) {
        self.episode = episode
        self.robot = robot
        self.outcome = outcome
        self.reason = reason
        self.decidedBy = decidedBy
        self.finishedAtUnixNanoseconds = finishedAtUnixNanoseconds
        self.durationNanoseconds = durationNanoseconds
        self.ticks = ticks
        self.starvedTicks = starvedTicks
        self.missedCycles = missedCycles
        self.limitedTicks = limitedTicks
        self.chunks = chunks
        self.failedInferences = failedInferences
        self.notes = notes
    }
}
