import GrootCore

/// The `grpc-timeout` header, as every gRPC call carries it: at most eight digits and a unit.
package enum GRPCTimeout {
    package static let key = "grpc-timeout"
    /// Longest time that a server waits: later is never.
    package static let longest: Duration = .seconds(86_400)

    /// Nil when the text is malformed.
    package static func parse(_ text: String) -> Duration? {
        let bytes = text.utf8
        guard let unit = bytes.last, (2...9).contains(bytes.count) else { return nil }
        var amount: Int64 = 0
        for byte in bytes.dropLast() {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            amount = amount * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return switch Unicode.Scalar(unit) {
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
    package static func format(_ duration: Duration) -> String {
        let nanoseconds = max(1, duration.nanoseconds)
        for (unit, size) in [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000)] as [(String, Int64)] {
            let amount = nanoseconds / size
            if amount < 100_000_000 { return "\(amount)\(unit)" }
        }
        return "\(min(99_999_999, nanoseconds / 60_000_000_000))M"
    }
}
