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
    /// Go on after a pause or a stop.
    case resume
    /// Drive home, then stand until a person says how to go on.
    case home
    /// Stop the robot and end the episode; the arms stand until a person says how to go on.
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
        case "g": self = .resume
        case "h": self = .home
        case "x": self = .stop
        case "q": self = .quit
        case nil: self = .proceed
        default: return nil
        }
    }

    /// What the session machine is told; nil concerns one chunk only.
    package var order: Order? {
        switch self {
        case .success: .success
        case .failure: .failure
        case .retry: .retry
        case .pause: .pause
        case .resume: .resume
        case .home: .home
        case .stop: .stop
        case .quit: .quit
        case .proceed: nil
        }
    }
}

/// Passes wishes on as orders, which the control thread obeys at its next tick, and keeps them and the notes for the
/// episode's records. Any thread.
///
/// One thread blocks in `readLine` for the rest of the process when standard input is a terminal; services
/// `/groot_agent_ROBOT/success`, ... (`std_srvs/Trigger`) do the same over ROS.
package final class OperatorDesk: Sendable {
    private struct State {
        /// Not yet on record, oldest first.
        var wishes: [(wish: OperatorWish, origin: String)] = []
        var origins: [Order: String] = [:]
        var notes: [String] = []
        var mayProceed = false
    }

    /// Wishes that wait to be recorded; older ones give way.
    private static let capacity = 64

    private let orders: OrderInbox
    private let state = Mutex(State())

    /// - Parameter orders: where the control thread reads them.
    package init(orders: OrderInbox) {
        self.orders = orders
    }

    /// The oldest wish that is not on record and where it came from.
    package func take() -> (wish: OperatorWish, origin: String)? {
        state.withLock { $0.wishes.isEmpty ? nil : $0.wishes.removeFirst() }
    }

    /// Where the newest order of this kind came from.
    package func origin(of order: Order) -> String {
        state.withLock { $0.origins[order] } ?? "signal"
    }

    /// The notes of the episode that ends, joined and fit to be stored.
    package func takeNotes() -> String {
        state.withLock { state in
            defer { state.notes = [] }
            return PeopleText.line(joining: state.notes)
        }
    }

    /// Forgets what was noted before an episode began.
    package func clear() {
        state.withLock { $0 = State() }
    }

    package func wished(_ wish: OperatorWish, by origin: String) {
        guard let order = wish.order else { return state.withLock { $0.mayProceed = true } }
        state.withLock { state in
            state.origins[order] = origin
            if state.wishes.count == Self.capacity { state.wishes.removeFirst() }
            state.wishes.append((wish, origin))
        }
        orders.post(order)
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

    /// A person may sit at standard input.
    package static var hasTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// Reads keys from here on when standard input is a terminal; its end is an order, too.
    package func listenToKeys() {
        guard Self.hasTerminal else { return }
        Thread.detachNewThread { [self] in
            while let line = readLine() { typed(line) }
            orders.post(.lostTerminal)
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
