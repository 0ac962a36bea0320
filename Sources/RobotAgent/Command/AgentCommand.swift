import ArgumentParser
import GrootCore

/// `groot-agent`: runs episodes, and looks at robots, recordings and modes.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groot-agent",
        abstract:
            "Drives one robot: observations to the gateway, action chunks to the arms, through a safety gate.",
        subcommands: [
            RunCommand.self, CheckCommand.self, CompareCommand.self, ReplayCommand.self, GuardCommand.self,
            BenchCommand.self,
        ],
        defaultSubcommand: RunCommand.self
    )

    init() {}
}

/// `groot-agent run`, the default: episodes on one robot.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run episodes on one robot (default).",
        discussion: """
            Flags may be written with - or _; --help-hidden lists all of them. Arms move as soon as the robot is ready, on a \
            terminal with Enter: stand clear.
            Keys, each with Enter: s success, f failure, r retry, p pause and go on, x stop, h home, g go on, q quit; \
            n TEXT adds a note. The same as services: /groot_agent_ROBOT/success and so on.
            """
    )

    @OptionGroup var flags: RunFlags

    init() {}

    func run() async throws {
        let arguments = FlagSpelling.normalised(Array(CommandLine.arguments.dropFirst()))
        let configuration = try flags.checked(arguments: arguments).get()
        let exit = await AgentRun(configuration: configuration).run()
        if exit != .ok { throw ExitCode(exit.rawValue) }
    }
}
