import GrootCore

/// The `grpc-timeout` header: at most eight digits and a unit.
enum GRPCTimeout {
    /// Nil when the text is malformed.
    static func parse(_ text: String) -> Duration? {
        guard let unit = text.last, (2...9).contains(text.utf8.count) else { return nil }
        let digits = text.dropLast()
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let amount = Int64(digits) else { return nil }
        return switch unit {
        case "H": .seconds(amount * 3600)
        case "M": .seconds(amount * 60)
        case "S": .seconds(amount)
        case "m": .milliseconds(amount)
        case "u": .microseconds(amount)
        case "n": .nanoseconds(amount)
        default: nil
        }
    }

    /// The finest unit whose number still has at most eight digits; never zero.
    static func format(_ duration: Duration) -> String {
        let nanoseconds = max(1, duration.nanoseconds)
        for (unit, size) in [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000)] as [(String, Int64)] {
            let amount = nanoseconds / size
            if amount < 100_000_000 { return "\(amount)\(unit)" }
        }
        return "\(min(99_999_999, nanoseconds / 60_000_000_000))M"
    }
}
