import ArgumentParser

/// Entry point of `groot-gateway`: a root command; without a subcommand it serves.
@main
struct Main: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groot-gateway",
        abstract: "HTTP/2 load balancer in front of policy workers, with the fleet's control plane.",
        subcommands: [
            ServeCommand.self, CheckConfigCommand.self, SimulateCommand.self, CertsCommand.self, MigrateCommand.self,
            EpisodesCommand.self, CheckpointsCommand.self, RunsCommand.self, BackupCommand.self, RestoreCommand.self,
        ],
        defaultSubcommand: ServeCommand.self
    )
}
