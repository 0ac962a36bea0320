import ArgumentParser
import GrootCore
import Logging

/// `groot-worker describe --checkpoint DIR`: load without serving, print what the checkpoint expects.
struct DescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Load and warm a checkpoint, print what it expects, exit."
    )

    @OptionGroup var checkpoint: CheckpointFlags

    func run() async throws {
        LogSetup.bootstrap(level: .info)
        do throws(WorkerError) {
            let policy = try await OnnxPolicy.load(checkpoint.options, logger: Logger(label: "groot-worker"))
            print(Self.text(policy.description, runtime: policy.version))
        } catch {
            throw reported(error)
        }
    }

    static func text(_ policy: PolicyDescription, runtime: String) -> String {
        var lines = [
            "checkpoint     \(policy.checkpoint)",
            "policy type    \(policy.policyType)",
            "sha256         \(policy.sha256)",
            "runtime        \(runtime)",
        ]
        lines += policy.images.map { "image          \($0.key)  \($0.width)x\($0.height) RGB8" }
        lines += [
            "state          \(policy.stateNames.joined(separator: ", "))",
            "action         \(policy.actionNames.joined(separator: ", "))",
            "chunk          \(policy.chunkSize) rows, \(policy.actionPeriod.milliseconds) ms apart",
            "prefix         \(policy.supportsPrefix ? "yes" : "no")",
            "task           at most \(policy.maxTaskBytes) bytes of UTF-8",
        ]
        return lines.joined(separator: "\n")
    }
}
