/// Keeps a claw closed once the policy has closed it: a held box is not dropped by a wavering command.
///
/// A claw latches after `count` consecutive commands at or above `threshold` and then answers `value` until it
/// is reset, before homing and at the start of an episode. Pure; owned by the control thread.
package struct ClawLatch: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// 0 (open) to 100 (closed).
        package var threshold: Float = 50
        /// Control ticks.
        package var count = 5
        package var value: Float = 90

        package init() {}
    }

    private let configuration: Configuration
    private var runs: [Int]

    package init(_ configuration: Configuration, claws: Int) {
        self.configuration = configuration
        self.runs = Array(repeating: 0, count: claws)
    }

    /// The command of claw `index` for this tick.
    package mutating func commanded(_ command: Float, claw index: Int) -> Float {
        if runs[index] >= configuration.count { return configuration.value }
        runs[index] = command >= configuration.threshold ? runs[index] + 1 : 0
        return runs[index] >= configuration.count ? configuration.value : command
    }

    package func isLatched(_ index: Int) -> Bool { runs[index] >= configuration.count }

    package mutating func reset() {
        for index in runs.indices { runs[index] = 0 }
    }
}
