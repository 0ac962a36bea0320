/// Decides from what the master answers whether it still knows this node.
///
/// Pure.
struct MasterHealth: Sendable, Hashable {
    enum Observation: Sendable, Hashable {
        case unreachable
        /// Its process id, and whom it knows under this node's name.
        case answered(pid: Int, node: Holder)
    }

    /// Who holds this node's name.
    enum Holder: Sendable, Hashable {
        /// This node has nothing registered and did not ask.
        case notAsked
        case us
        case nobody
        /// Address of the node that does.
        case another(String)
    }

    enum Action: Sendable, Hashable {
        case none
        case reportLost
        /// The master restarted, forgot us, or was away: register everything anew.
        case registerAgain
        /// Another node registered under the same name: registering again would take the name from it in turn.
        case stepBack(String)
    }

    private var pid: Int?
    private var isLost = false

    mutating func observe(_ observation: Observation) -> Action {
        switch observation {
        case .unreachable:
            defer { isLost = true }
            return isLost ? .none : .reportLost
        case .answered(_, .another(let uri)): return .stepBack(uri)
        case .answered(let pid, let node):
            let changed = self.pid != nil && self.pid != pid
            defer {
                self.pid = pid
                isLost = false
            }
            return changed || isLost || node == .nobody ? .registerAgain : .none
        }
    }

    /// A registration failed although the master answered before: look again from scratch.
    mutating func registrationFailed() {
        isLost = true
    }
}
