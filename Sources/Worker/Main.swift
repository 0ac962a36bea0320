import ArgumentParser

/// One per GPU (or CPU): loads a checkpoint, batches requests, answers with action chunks.
@main
struct GrootWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groot-worker",
        abstract: "Runs a policy for a fleet of robots.",
        subcommands: [ServeCommand.self, DescribeCommand.self],
        defaultSubcommand: ServeCommand.self
    )
}
