/// Where a request goes, by its `:path` alone.
enum Route: Sendable, Equatable {
    /// `groot.v1.Inference`: any worker that serves the checkpoint.
    case inference(method: String)
    /// `groot.v1.Fleet` and the gateway's own health: the control plane.
    case control
    case unknown

    /// Exact services only: no percent escapes, dots or further slashes get past the match.
    init(path: String) {
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty, !parts[2].isEmpty,
            parts[2].allSatisfy({
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x5F
            })
        else {
            self = .unknown
            return
        }
        switch Substring(parts[1]) {
        case "groot.v1.Inference": self = .inference(method: String(Substring(parts[2])))
        case "groot.v1.Fleet", "grpc.health.v1.Health": self = .control
        default: self = .unknown
        }
    }
}
