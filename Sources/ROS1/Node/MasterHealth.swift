/// Decides from what the master answers whether it still knows this node.
///
/// Pure.
struct MasterHealth: Sendable, Hashable {
    enum Observation: Sendable, Hashable {
        case unreachable
        /// Its process id, and whether it can look this node up (nil: the node has nothing registered).
        case answered(pid: Int, knowsNode: Bool?)
    }

    enum Action: Sendable, Hashable {
        case none
        case reportLost
        /// The master restarted, forgot us, or was away: register everything anew.
        case registerAgain
    }

    private var pid: Int?
    private var isLost = false

    mutating func observe(_ observation: Observation) -> Action {
        switch observation {
        case .unreachable:
            defer { isLost = true }
            return isLost ? .none : .reportLost
        case .answered(let pid, let knowsNode):
            let changed = self.pid != nil && self.pid != pid
            defer {
                self.pid = pid
                isLost = false
            }
            return changed || isLost || knowsNode == false ? .registerAgain : .none
        }
    }

    /// A registration failed although the master answered before: look again from scratch.
    mutating func registrationFailed() {
        isLost = true
    }
}
