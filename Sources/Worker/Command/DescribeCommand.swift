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
            for directory in checkpoint.checkpoint {
                let base = checkpoint.options
                let options = base.with(directory: directory, name: nil, runtime: base.runtime)
                let policy = try await PolicyLoader.load(options, logger: Logger(label: "groot-worker"))
                print(Self.text(policy.description, runtime: policy.version))
                await policy.close()
            }
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
        lines += policy.batchTimes.map { "batch of \($0.batch)     \($0.infer.milliseconds) ms" }
        return lines.joined(separator: "\n")
    }
}
