import ArgumentParser
import Foundation
import Glibc
import GrootCore
import Logging
import ROS1

/// `groot-agent guard`: hands the arms back when the agent that started it dies. Started by the agent itself.
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

    func run() async throws {
        // The terminal's Ctrl+C and a service manager's TERM reach the whole group; the agent acts on them.
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
        let farewell = FileHandle.standardInput.readDataToEndOfFile()
        if String(decoding: farewell, as: UTF8.self) == Guardian.goodbye { return }
        var logger = Logger(label: "guard")
        logger[metadataKey: "robot"] = "\(robot)"
        logger.error("the agent died; handing the arms back")
        let profile = try ProfileCatalog.load(profile)
        let node = ROSNode(
            name: "/groot_guard_\(robot.replacing("-", with: "_"))",
            masterURI: rosMaster,
            host: rosHost,
            logger: logger
        )
        try await node.start()
        await RobotModes(profile: profile, node: node, logger: logger).handBack()
        await node.shutdown()
    }
}
