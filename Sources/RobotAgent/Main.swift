import ArgumentParser
import Foundation
import GrootCore
import Logging
import ROS1

@main
struct Main {
    static func main() async {
        LogSetup.bootstrap(level: .info)
        let arguments = FlagSpelling.normalised(Array(CommandLine.arguments.dropFirst()))
        do {
            var command = try AgentCommand.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let problems as RunFlags.Problems {
            FileHandle.standardError.write(Data("groot-agent:\n\(problems)\nSee groot-agent --help.\n".utf8))
            exit(ProcessExit.usage.rawValue)
        } catch let error as AgentError {
            FileHandle.standardError.write(Data("groot-agent: \(error)\n".utf8))
            exit(error.exit.rawValue)
        } catch let error as ROSError {
            FileHandle.standardError.write(Data("groot-agent: \(error)\n".utf8))
            exit(ProcessExit.unavailable.rawValue)
        } catch {
            AgentCommand.exit(withError: error)
        }
    }
}
