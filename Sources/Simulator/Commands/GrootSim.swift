import ArgumentParser
import Foundation
import GrootCore

@main
struct GrootSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groot-sim",
        abstract: "A simulated robot cell: two arms, four cartons, a pallet and a belt.",
        subcommands: [RunCommand.self, DemonstrateCommand.self, GymCommand.self, ExpertCommand.self],
        defaultSubcommand: RunCommand.self
    )

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as SimulatorError where error.code == .output {
            FileHandle.standardError.write(Data("groot-sim: \(error)\n".utf8))
            exit(withError: ExitCode(ProcessExit.cannotWrite.rawValue))
        } catch {
            exit(withError: error)
        }
    }
}
