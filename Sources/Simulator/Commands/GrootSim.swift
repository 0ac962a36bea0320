import ArgumentParser

@main
struct GrootSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groot-sim",
        abstract: "A simulated robot cell: two arms, four cartons, a pallet and a belt.",
        subcommands: [RunCommand.self, DemonstrateCommand.self, GymCommand.self, ExpertCommand.self],
        defaultSubcommand: RunCommand.self
    )
}
