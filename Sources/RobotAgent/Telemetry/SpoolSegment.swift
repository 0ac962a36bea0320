/// One file of the spool: a run of entries of one boot and lane.
package struct SpoolSegment: Hashable, Sendable {
    package static let fileExtension = "spool"

    package var robot: String
    package var boot: String
    package var lane: SpoolLane
    /// Number of its first entry.
    package var first: UInt64

    package init(robot: String, boot: String, lane: SpoolLane, first: UInt64) {
        self.robot = robot
        self.boot = boot
        self.lane = lane
        self.first = first
    }

    /// Zero-padded, so that names sort as numbers do.
    package var fileName: String {
        let digits = String(first)
        let number = String(repeating: "0", count: max(0, 20 - digits.count)) + digits
        return "\(robot).\(boot).\(lane.rawValue).\(number).\(Self.fileExtension)"
    }

    /// Nil when the file is not of this robot's spool.
    package init?(fileName: String, robot: String) {
        let parts = fileName.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == robot, parts[4] == Self.fileExtension, !parts[1].isEmpty,
            let lane = SpoolLane(rawValue: String(parts[2])), let first = UInt64(parts[3])
        else { return nil }
        self.init(robot: robot, boot: String(parts[1]), lane: lane, first: first)
    }
}
