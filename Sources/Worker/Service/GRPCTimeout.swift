package import GRPCCore

/// The `grpc-timeout` header: at most eight digits and a unit.
package enum GRPCTimeout {
    package static func duration(in metadata: Metadata) -> Duration? {
        metadata[stringValues: "grpc-timeout"].first { _ in true }.flatMap(parse)
    }

    package static func parse(_ text: String) -> Duration? {
        guard let unit = text.last, (2...9).contains(text.utf8.count), text.dropLast().allSatisfy(\.isNumber),
            let amount = Int64(text.dropLast())
        else { return nil }
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
}
