import Foundation
import GrootCore
import Logging

/// What a command line expects of checkpoint and robot, against what they are. The checkpoint's and the profile's values are
/// used in any case; a difference is said once, or ends the run with `--strict`.
struct Expectations: Sendable {
    let configuration: AgentConfiguration
    let policy: PolicyDescription
    let profile: RobotProfile

    /// One sentence for each difference; empty when everything is as expected.
    var differences: [String] {
        var lines: [String] = []
        if let rows = configuration.chunkSize, rows > policy.chunkSize {
            lines.append(
                "--action-chunk-size \(rows): checkpoint \(policy.checkpoint) answers \(policy.chunkSize) rows, which are used"
            )
        }
        let rowRate = 1 / policy.actionPeriod.seconds
        if let rate = configuration.expectedRate, rate != Double(profile.controlRateHz), abs(rate - rowRate) > 1e-6 {
            lines.append(
                "--fps \(Self.text(rate)): robot \(profile.name) is commanded at \(profile.controlRateHz) Hz and checkpoint "
                    + "\(policy.checkpoint) has \(Self.text(rowRate)) rows a second, which are used: the motion has the speed "
                    + "that was trained"
            )
        }
        return lines
    }

    /// Says what differs, or refuses it.
    ///
    /// - Parameter substitution: of the checkpoint.
    /// - Throws: `AgentError` `usage` with every difference, when the run is strict.
    func settle(_ substitution: String?, _ logger: Logger) throws(AgentError) {
        var found = (substitution.map { [$0] } ?? []) + differences
        if let folder = configuration.dataset {
            switch LeRobotDataset.read(folder) {
            case .nothing(let reason):
                logger.info(
                    "--lerobot-dataset-path is not needed: the statistics are part of the checkpoint",
                    metadata: ["error": "\(reason)"]
                )
            case .unusable(let problem): found.append("--lerobot-dataset-path \(folder.path): \(problem)")
            case .dataset(let dataset):
                let own = dataset.differences(to: policy, profile: profile)
                found += own.map { "--lerobot-dataset-path \(folder.path): \($0)" }
                if own.isEmpty {
                    logger.info(
                        "the data set has the checkpoint's names and rate, and values that this robot can have",
                        metadata: ["checkpoint": "\(policy.checkpoint)", "setting": "\(folder.path)"]
                    )
                }
            }
        }
        guard !found.isEmpty else { return }
        if configuration.isStrict {
            throw AgentError(.usage, "--strict: " + found.joined(separator: "\n"))
        }
        for line in found { logger.warning("\(line)") }
    }

    private static func text(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : "\((value * 1000).rounded() / 1000)"
    }
}
