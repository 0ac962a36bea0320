import Foundation
import GrootCore
package import Logging
import Synchronization

/// A second process that hands the arms back when this one dies without doing so.
///
/// `groot-agent guard` waits for its standard input to end. The agent says goodbye in a pipe when it has handed
/// back itself and the robot confirmed it; a crash or a kill closes the pipe without the word, and the guard calls the
/// profile's hand-back services until the robot confirms them. The robot meanwhile holds its last target, because nothing
/// is published any more.
package final class Guardian: Sendable {
    /// The arms are handed back.
    package static let goodbye = "done"
    /// The agent lives and could not hand the arms back.
    package static let handover = "unconfirmed"

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
            "--agent-pid", "\(ProcessInfo.processInfo.processIdentifier)",
            "--hand-back-timeout", "\(configuration.handBackTimeout.seconds)s",
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

    /// Hands the arms back and sends the guard home, or leaves the arms to it.
    ///
    /// - Returns: nil when the robot confirmed, or another agent holds it; else the error that the process ends with.
    package func handBack(through modes: RobotModes) async -> AgentError? {
        guard case .unconfirmed(let steps) = await modes.handBack() else {
            dismiss()
            return nil
        }
        let next = handOver() ? "the guard goes on trying" : "there is no guard: set the robot's mode by hand"
        return AgentError(
            .safety,
            "the robot did not confirm that it took the arms back (\(steps.joined(separator: ", "))); \(next)"
        )
    }

    /// The guard has nothing to do: the arms are handed back, or are another process's.
    package func dismiss() {
        let state = taken()
        guard let pipe = state.pipe else { return }
        // A guard that is gone already needs no goodbye.
        try? pipe.fileHandleForWriting.write(contentsOf: Data(Self.goodbye.utf8))
        try? pipe.fileHandleForWriting.close()
        state.process?.waitUntilExit()
    }

    /// The guard goes on trying, also when this process is gone.
    ///
    /// - Returns: false when there is no guard.
    private func handOver() -> Bool {
        let state = taken()
        guard let pipe = state.pipe, let process = state.process, process.isRunning else { return false }
        // A guard that dies this very moment is as good as none, and there is nobody left to tell.
        try? pipe.fileHandleForWriting.write(contentsOf: Data(Self.handover.utf8))
        try? pipe.fileHandleForWriting.close()
        return true
    }

    private func taken() -> State {
        box.withLock { box in
            defer { box.state = State() }
            return box.state
        }
    }

    private static var executable: URL? {
        let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return path.lastPathComponent == "groot-agent" ? path : nil
    }
}
