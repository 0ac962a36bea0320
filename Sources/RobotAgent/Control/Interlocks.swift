/// What forbids motion at this tick, as the input contract sees the robot. Several may hold at once.
///
/// Written by the contract (`RobotAgent/Robot`), read by the control thread at every tick through one atomic; what each one
/// leads to is the session machine's decision (`docs/safety.md`).
package struct Interlocks: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Another node publishes on a topic that this agent commands.
    package static let otherCommander = Interlocks(rawValue: 1 << 0)
    /// Nobody subscribes to a topic that this agent commands.
    package static let nobodyListens = Interlocks(rawValue: 1 << 1)
    /// Joint or claw state is silent, or its stamps or values stand still while commands move.
    package static let blind = Interlocks(rawValue: 1 << 2)
    /// An input has more than one publisher.
    package static let doubledInput = Interlocks(rawValue: 1 << 3)
    /// An input came with an unknown fingerprint, outside of its range, or in a form that cannot be read.
    package static let unusableInput = Interlocks(rawValue: 1 << 4)
    /// Another process took this node's name: stop commanding, hand nothing back.
    package static let superseded = Interlocks(rawValue: 1 << 5)
}
