import Foundation

/// Wall-clock time, for people, file names and database rows only; never used to compute a duration.
package enum WallClock {
    /// Nanoseconds since 1970-01-01 UTC.
    package static func unixNanoseconds() -> Int64 {
        Int64(Date().timeIntervalSince1970 * 1e9)
    }
}
