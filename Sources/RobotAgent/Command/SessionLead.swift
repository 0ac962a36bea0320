import GrootCore
import Logging

/// Who begins an episode: on a real robot a person, with Enter or the service `~/proceed`, after the scene is set.
///
/// Waits and says for what; decides nothing about motion.
struct SessionLead: Sendable {
    let desk: OperatorDesk
    /// A person leads; false in the simulator, without a robot (`--dry-run`) and with `--unattended`.
    let isAttended: Bool
    let node: String
    let logger: Logger

    /// How often the desk is looked at.
    static let period: Duration = .milliseconds(20)

    /// Why a run must not start; nil when it may. Several episodes that nobody judges would all end by their time limit.
    static func problem(_ configuration: AgentConfiguration, _ profile: RobotProfile) -> String? {
        guard configuration.episodes > 1, !configuration.isAttended, configuration.judge == nil,
            profile.simulator == nil, !configuration.isDryRun
        else { return nil }
        return
            "--episodes \(configuration.episodes): nobody is there to say what came of them, so that all would end as "
            + "timeout; name a --judge, or --attended if a person uses the services"
    }

    /// Waits until the episode may begin.
    ///
    /// - Parameters:
    ///   - index: of the episode, from 0.
    ///   - clear: called at every look; returns when no person wants the arms to stand, throws when the session is over.
    func mayBegin(_ index: Int, of count: Int, clear: () async throws -> Void) async throws {
        guard isAttended else { return }
        // An Enter from before the question was not meant as its answer.
        _ = desk.takeApproval()
        let scene = index == 0 ? "set the scene" : "set the scene again"
        let what = "\(scene); Enter, or the service \(node)/proceed, begins episode \(index + 1) of \(count)"
        logger.notice("\(what)")
        while !desk.takeApproval() {
            try await clear()
            try await Task.sleep(for: Self.period)
        }
    }
}
