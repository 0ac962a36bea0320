package import Foundation

/// What one report brings, ready to be copied.
package struct TelemetryBatch: Sendable {
    package let robot: String
    package let boot: String
    package var inferences: CopyRows
    package var controlSamples: CopyRows
    package var events: CopyRows
    /// They have a sequence of their own.
    package var thumbnails: CopyRows
    package var drops = TelemetryDrops()
    /// Sequences of the inferences that brought a chunk, by what answered.
    private(set) var answers: [EpisodeAnswer: [Int64]] = [:]

    package init(
        robot: String,
        boot: String,
        inferences: Int = 0,
        controlSamples: Int = 0,
        events: Int = 0,
        thumbnails: Int = 0
    ) {
        self.robot = robot
        self.boot = boot
        self.inferences = CopyRows(table: .inferences, robot: robot, boot: boot, expectedRows: inferences)
        self.controlSamples = CopyRows(table: .controlSamples, robot: robot, boot: boot, expectedRows: controlSamples)
        self.events = CopyRows(table: .events, robot: robot, boot: boot, expectedRows: events)
        self.thumbnails = CopyRows(table: .thumbnails, robot: robot, boot: boot, expectedRows: thumbnails)
    }

    package var count: Int { tables.reduce(0) { $0 + $1.count } }
    package var byteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }

    /// An inference of the batch brought a chunk.
    package mutating func answered(_ answer: EpisodeAnswer, sequence: Int64) {
        answers[answer, default: []].append(sequence)
    }
    /// Of the records; thumbnails apart.
    package var highestSequence: Int64? { records.compactMap { $0.sequences.max() }.max() }
    var isEmpty: Bool { count == 0 && drops == TelemetryDrops() }
    var tables: [CopyRows] { records + [thumbnails] }
    var recordSequences: [Int64] { records.flatMap(\.sequences) }
    private var records: [CopyRows] { [inferences, controlSamples, events] }
}

/// What answered in an episode.
package struct EpisodeAnswer: Sendable, Hashable {
    package var episode: UUID
    package var checkpointSHA256: String
    package var checkpoint: String

    package init(episode: UUID, checkpointSHA256: String, checkpoint: String) {
        self.episode = episode
        self.checkpointSHA256 = checkpointSHA256
        self.checkpoint = checkpoint
    }
}

/// What an agent had to give up, counted since its start.
package struct TelemetryDrops: Sendable, Equatable {
    package var inferences: Int64
    package var controlSamples: Int64
    package var events: Int64
    /// Records that could not be read back.
    package var damaged: Int64
    /// Records that the control plane refused for good.
    package var refused: Int64
    /// Starts and finishes.
    package var episodes: Int64
    package var thumbnails: Int64

    package init(
        inferences: Int64 = 0,
        controlSamples: Int64 = 0,
        events: Int64 = 0,
        damaged: Int64 = 0,
        refused: Int64 = 0,
        episodes: Int64 = 0,
        thumbnails: Int64 = 0
    ) {
        self.inferences = inferences
        self.controlSamples = controlSamples
        self.events = events
        self.damaged = damaged
        self.refused = refused
        self.episodes = episodes
        self.thumbnails = thumbnails
    }
}
