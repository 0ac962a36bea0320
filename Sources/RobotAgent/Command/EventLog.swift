import GrootAPI
import GrootCore
package import Logging

/// Things that a person wants to read later: into the log, into the metrics and into telemetry.
package struct EventLog: Sendable {
    package enum Kind: String, Sendable {
        case safety
        case `operator`
        case link
        case telemetry
    }

    /// Longest text that is stored; the log has the whole.
    package static let maximumMessage = 400

    private let spool: TelemetrySpool
    private let logger: Logger

    package init(spool: TelemetrySpool, logger: Logger) {
        self.spool = spool
        self.logger = logger
    }

    /// - Parameters:
    ///   - name: short and from a closed set, e.g. `velocity_limited`.
    ///   - episode: whose event it is; the control plane takes no others.
    package func happened(_ kind: Kind, _ name: String, _ message: String, episode: String) async {
        let level: Logger.Level = kind == .operator || name.hasSuffix("_back") ? .info : .warning
        logger.log(level: level, "\(name)", metadata: ["kind": "\(kind.rawValue)", "reason": "\(message)"])
        await store(kind, name, message, episode: episode)
    }

    /// What the input contract found; it is in the log already.
    package func happened(_ change: InputChange, episode: String) async {
        await store(.safety, change.name, change.sentence, episode: episode)
    }

    private func store(_ kind: Kind, _ name: String, _ message: String, episode: String) async {
        var event = Groot_V1_Event()
        event.episodeID = episode
        event.happenedAtUnixNs = WallClock.unixNanoseconds()
        event.kind = kind.rawValue
        event.name = name
        event.message = PeopleText.line(String(message.prefix(Self.maximumMessage)))
        await spool.append(event)
    }
}
