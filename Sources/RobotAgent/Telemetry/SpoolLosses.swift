package import GrootAPI

/// What the spool had to give up since the agent started; it may be of earlier boots.
package struct SpoolLosses: Equatable, Sendable {
    package var inferences: UInt64 = 0
    package var controlSamples: UInt64 = 0
    package var events: UInt64 = 0
    /// Starts and finishes.
    package var episodes: UInt64 = 0
    package var thumbnails: UInt64 = 0
    /// The checksum was wrong.
    package var damaged: UInt64 = 0
    /// Those among the above, `damaged` apart, that the control plane refused for good; they are kept beside the spool.
    package var refused: UInt64 = 0

    package init() {}

    package var total: UInt64 { inferences + controlSamples + events + episodes + thumbnails + damaged }

    package mutating func gaveUp(_ kind: SpoolEntry.Kind) {
        switch kind {
        case .inference: inferences += 1
        case .controlSample: controlSamples += 1
        case .event: events += 1
        case .thumbnail: thumbnails += 1
        case .register, .start, .finish: episodes += 1
        // The next report of losses says more than the lost one.
        case .drops: break
        }
    }

    package static func += (losses: inout SpoolLosses, more: SpoolLosses) {
        losses.inferences += more.inferences
        losses.controlSamples += more.controlSamples
        losses.events += more.events
        losses.episodes += more.episodes
        losses.thumbnails += more.thumbnails
        losses.damaged += more.damaged
        losses.refused += more.refused
    }

    package var message: Groot_V1_TelemetryDrops {
        var message = Groot_V1_TelemetryDrops()
        message.inferences = inferences
        message.controlSamples = controlSamples
        message.events = events
        message.episodes = episodes
        message.thumbnails = thumbnails
        message.damaged = damaged
        message.refused = refused
        return message
    }
}
