import Synchronization

/// Where orders wait for the next control tick. Any thread; neither locks nor allocates, and nothing is ever lost in it.
///
/// The control thread takes them at every tick, in every phase: nobody who runs an episode stands between.
package final class OrderInbox: Sendable {
    private let waiting = Atomic<UInt32>(0)
    private let interrupts = Atomic<UInt32>(0)

    package init() {}

    package func post(_ order: Order) {
        if order == .interrupt { interrupts.add(1, ordering: .relaxed) }
        waiting.bitwiseOr(Orders(order).rawValue, ordering: .releasing)
    }

    /// What was ordered since the last call, and how many interrupts there were in all.
    package func take() -> (orders: Orders, interrupts: UInt32) {
        guard waiting.load(ordering: .relaxed) != 0 else { return ([], 0) }
        let taken = waiting.exchange(0, ordering: .acquiring)
        return (Orders(rawValue: taken), interrupts.load(ordering: .relaxed))
    }
}
