import Foundation
import Glibc
import GrootCore
package import ROS1
import Synchronization

/// What an operator wants, from the terminal or from ROS services; the two are the same.
package enum OperatorWish: String, Sendable, CaseIterable {
    /// The episode is a success.
    case success
    /// The episode is a failure.
    case failure
    /// Give this episode up and run it again.
    case retry
    /// Stand still; once more to go on.
    case pause
    /// Stop the robot and end the episode; the run goes on.
    case stop
    /// Stop the robot and end the run.
    case quit
    /// Execute the next chunk (`--pause-before-chunk`).
    case proceed

    /// First letter of a line on the terminal; an empty line means `proceed`.
    package init?(key: Character?) {
        switch key {
        case "s": self = .success
        case "f": self = .failure
        case "r": self = .retry
        case "p": self = .pause
        case "x": self = .stop
        case "q": self = .quit
        case nil: self = .proceed
        default: return nil
        }
    }
}

/// Collects wishes and notes until the episode runner takes them. Any thread.
///
/// One thread blocks in `readLine` for the rest of the process when standard input is a terminal; services
/// `/groot_agent_ROBOT/success`, ... (`std_srvs/Trigger`) do the same over ROS.
package final class OperatorDesk: Sendable {
    private struct State {
        var wish: OperatorWish?
        var origin = ""
        var notes: [String] = []
        var mayProceed = false
    }

    private let state = Mutex(State())

    package init() {}

    /// The newest wish and where it came from; it is then forgotten.
    package func take() -> (wish: OperatorWish, origin: String)? {
        state.withLock { state in
            defer { state.wish = nil }
            return state.wish.map { ($0, state.origin) }
        }
    }

    /// The notes of the episode that ends, joined and fit to be stored.
    package func takeNotes() -> String {
        state.withLock { state in
            defer { state.notes = [] }
            return PlainText.joined(state.notes)
        }
    }

    /// Forgets what was wished before an episode began.
    package func clear() {
        state.withLock { $0 = State() }
    }

    package func wished(_ wish: OperatorWish, by origin: String) {
        state.withLock { state in
            if wish == .proceed {
                state.mayProceed = true
            } else {
                state.wish = wish
                state.origin = origin
            }
        }
    }

    package func noted(_ text: String) {
        state.withLock { $0.notes.append(text) }
    }

    /// True once per `proceed`.
    package func takeApproval() -> Bool {
        state.withLock { state in
            defer { state.mayProceed = false }
            return state.mayProceed
        }
    }

    /// Suspends until the operator lets the next chunk go, or the task is cancelled.
    package func approval() async {
        // An Enter from before the question was not meant as its answer.
        _ = takeApproval()
        TerminalConsole.shared.say("Enter executes the next chunk")
        while !takeApproval(), !Task.isCancelled {
            // Cancellation is seen at the loop's head.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Reads keys from here on when standard input is a terminal.
    package func listenToKeys() {
        guard isatty(STDIN_FILENO) == 1 else { return }
        Thread.detachNewThread { [self] in
            while let line = readLine() { typed(line) }
        }
    }

    /// One line of the terminal.
    package func typed(_ line: String) {
        let text = line.trimmingCharacters(in: .whitespaces)
        if text.lowercased().hasPrefix("n ") {
            noted(String(text.dropFirst(2)))
        } else if let wish = OperatorWish(key: text.lowercased().first) {
            wished(wish, by: "key")
        }
    }

    /// Offers the wishes as services of `node`.
    package func offerServices(on node: ROSNode) async throws(ROSError) {
        for wish in OperatorWish.allCases {
            try await node.advertiseService("\(node.name)/\(wish.rawValue)", as: Trigger.self) { [self] _ in
                wished(wish, by: "service")
                return TriggerResponse(success: true, message: "noted: \(wish.rawValue)")
            }
        }
    }
}
