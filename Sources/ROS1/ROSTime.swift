import Foundation

/// A wall-clock instant as ROS writes it: seconds and nanoseconds since 1970.
package struct ROSTime: Hashable, Sendable, Comparable {
    package var sec: UInt32
    package var nsec: UInt32

    package init(sec: UInt32 = 0, nsec: UInt32 = 0) {
        self.sec = sec
        self.nsec = nsec
    }

    /// Reads the wall clock.
    package static func now() -> ROSTime {
        let seconds = max(0, Date().timeIntervalSince1970)
        let whole = seconds.rounded(.down)
        return ROSTime(sec: UInt32(clamping: Int64(whole)), nsec: UInt32((seconds - whole) * 1_000_000_000))
    }

    /// Seconds since 1970; a double keeps about 0.2 microseconds of it.
    package var seconds: Double { Double(sec) + Double(nsec) / 1_000_000_000 }

    package static func < (left: ROSTime, right: ROSTime) -> Bool {
        (left.sec, left.nsec) < (right.sec, right.nsec)
    }
}
