import ArgumentParser
import Foundation
import Glibc
import GrootCore
import Logging
import ROS1

@main
struct Main {
    static func main() async {
        LogSetup.bootstrap(level: .info)
        // A reader of its log that goes away must not end a process that moves a robot.
        signal(SIGPIPE, SIG_IGN)
        let given = Array(CommandLine.arguments.dropFirst())
        let arguments = FlagSpelling.normalised(given)
        if let remark = FlagSpelling.remark(on: given) {
            if arguments.contains("--strict") {
                FileHandle.standardError.write(Data("groot-agent:\n--strict: \(remark)\n".utf8))
                exit(ProcessExit.usage.rawValue)
            }
            Logger(label: "agent").warning("\(remark)")
        }
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
