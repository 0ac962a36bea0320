import Foundation
package import Logging
import Synchronization

/// A second process that hands the arms back when this one dies without doing so.
///
/// `groot-agent guard` waits for its standard input to end. The agent says goodbye in a pipe when it has handed
/// back itself; a crash or a kill closes the pipe without the word, and the guard calls the profile's hand-back
/// services. The robot meanwhile holds its last target, because nothing is published any more.
package final class Guardian: Sendable {
    package static let goodbye = "done"

    private struct State {
        var process: Process?
        var pipe: Pipe?
    }

    // SAFETY: used under the lock only.
    private struct Box: @unchecked Sendable {
        var state = State()
    }

    private let box = Mutex(Box())
    private let logger: Logger

    package init(logger: Logger) {
        self.logger = logger
    }

    /// Starts the guard; a robot without one is still driven, with a warning.
    ///
    /// In a test process, which is not `groot-agent`, there is none.
    package func start(configuration: AgentConfiguration, profile: RobotProfile) {
        guard let executable = Self.executable, !profile.handBack.isEmpty else { return }
        let process = Process()
        let pipe = Pipe()
        process.executableURL = executable
        process.arguments = [
            "guard", "--robot", configuration.robot, "--ros-master", configuration.rosMaster,
            "--ros-host", configuration.rosHost,
            "--profile", configuration.profile == "auto" ? profile.name : configuration.profile,
        ]
        process.standardInput = pipe
        do {
            try process.run()
            box.withLock { $0.state = State(process: process, pipe: pipe) }
        } catch {
            logger.warning(
                "no guard: a crash of this process would leave the arms under external control",
                metadata: ["error": "\(error)"]
            )
        }
    }

    /// The arms are handed back: the guard has nothing to do.
    package func dismiss() {
        let state = box.withLock { box in
            defer { box.state = State() }
            return box.state
        }
        guard let pipe = state.pipe else { return }
        // A guard that is gone already needs no goodbye.
        try? pipe.fileHandleForWriting.write(contentsOf: Data(Self.goodbye.utf8))
        try? pipe.fileHandleForWriting.close()
        state.process?.waitUntilExit()
    }

    private static var executable: URL? {
        let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return path.lastPathComponent == "groot-agent" ? path : nil
    }
}
