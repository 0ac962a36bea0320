import ArgumentParser
import Foundation
import Glibc
import GrootCore
import Logging
import ROS1

/// `groot-agent guard`: hands the arms back when the agent that started it dies, or could not do so itself. Started by
/// the agent.
struct GuardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard",
        abstract: "Hand the arms back when standard input ends without a goodbye.",
        shouldDisplay: false
    )

    @Option var robot: String
    @Option var rosMaster: String
    @Option var rosHost: String
    @Option var profile: String
    @Option var agentPid: Int
    @Option var handBackTimeout: String

    func run() async throws {
        // The terminal's Ctrl+C and a service manager's TERM reach the whole group; the agent acts on them. Its log may end
        // in a pipe that nobody reads any more.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
        guard let limit = RunFlags.duration(handBackTimeout), limit > .zero else {
            throw ValidationError("--hand-back-timeout \(handBackTimeout): expected a time such as 600s")
        }
        let farewell = String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
        if farewell == Guardian.goodbye { return }
        var logger = Logger(label: "guard")
        logger[metadataKey: "robot"] = "\(robot)"
        logger.error(
            farewell == Guardian.handover
                ? "the agent could not hand the arms back; trying on" : "the agent died; handing the arms back",
            metadata: ["limit_s": "\(limit.seconds)"]
        )
        let watch = GuardWatch(
            robot: robot,
            profile: try ProfileCatalog.load(profile),
            rosMaster: rosMaster,
            rosHost: rosHost,
            agent: agentPid,
            limit: limit,
            logger: logger
        )
        if await !watch.handBack() { throw ExitCode(ProcessExit.safety.rawValue) }
    }
}
