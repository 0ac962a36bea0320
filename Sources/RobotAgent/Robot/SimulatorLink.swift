import Foundation
package import GrootCore
package import ROS1
import Synchronization

/// The simulator's extras: a new scene per episode, and its judgement of what happened.
package final class SimulatorLink: Sendable {
    /// `/groot_sim/outcome`.
    package struct Report: Sendable, Codable, Equatable {
        package var episode: Int
        package var seed: Int64
        package var outcome: String
        package var reason: String?
    }

    /// A reset renders, settles and may wait for the physics thread.
    package static let resetTimeout: Duration = .seconds(30)

    private let node: ROSNode
    private let extras: RobotProfile.SimulatorExtras
    private let latest = Mutex<Report?>(nil)

    package init(node: ROSNode, extras: RobotProfile.SimulatorExtras) async throws(ROSError) {
        self.node = node
        self.extras = extras
        _ = try await node.subscribe(extras.outcomeTopic, to: StdString.self) { [weak self] message, _ in
            // A text that is no report is no outcome.
            guard let report = try? JSONDecoder().decode(Report.self, from: Data(message.data.utf8)) else { return }
            self?.latest.withLock { $0 = report }
        }
    }

    /// What the simulator's judge accepts as a time limit, seconds.
    static let longestEpisode = 3600.0

    /// Builds the scene of `seed`. Returns the number of the episode before, whose outcome must not be taken for the new one.
    ///
    /// - Parameter limit: longest episode; nil leaves it to the simulator.
    package func reset(seed: Int64, task: String, limit: Duration? = nil) async throws(AgentError) -> Int? {
        // Else its judge would end an episode that was given more time.
        let options = limit.map { #"{"timeout_s": \#(min($0.seconds, Self.longestEpisode))}"# } ?? ""
        let previous = latest.withLock { $0?.episode }
        let answer: GrootSimResetResponse
        do {
            answer = try await node.callService(
                extras.resetService,
                as: GrootSimReset.self,
                request: GrootSimResetRequest(seed: seed, task: task, options: options),
                timeout: Self.resetTimeout
            )
        } catch {
            throw AgentError(.unavailable, "the simulator did not reset", cause: error)
        }
        guard answer.success else {
            throw AgentError(.unavailable, "the simulator refused the scene of seed \(seed): \(answer.message)")
        }
        return previous
    }

    /// The judgement of the scene of `seed`, once there is one.
    package func outcome(seed: Int64, after previous: Int?) -> (outcome: EpisodeOutcome, reason: String)? {
        guard let report = latest.withLock({ $0 }), report.seed == seed, report.episode != previous,
            let outcome = EpisodeOutcome(rawValue: report.outcome)
        else { return nil }
        return (outcome, report.reason ?? "")
    }
}
