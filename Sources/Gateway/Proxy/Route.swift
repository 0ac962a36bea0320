/// Where a request goes, by its `:path` alone.
enum Route: Sendable, Equatable {
    /// `groot.v1.Inference`, `Infer` or `Describe`: any worker that serves the checkpoint.
    case inference(method: String)
    /// `groot.v1.Fleet` and the gateway's own health: the control plane.
    case control
    case unknown

    /// Exact services only: no percent escapes, dots or further slashes get past the match.
    init(path: String) {
        let bytes = path.utf8
        guard bytes.first == UInt8(ascii: "/"), let end = bytes.dropFirst().firstIndex(of: UInt8(ascii: "/")) else {
            self = .unknown
            return
        }
        let method = path[bytes.index(after: end)...]
        guard !method.isEmpty,
            method.utf8.allSatisfy({
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x5F
            })
        else {
            self = .unknown
            return
        }
        switch path[bytes.index(after: bytes.startIndex)..<end] {
        case "groot.v1.Inference":
            // A worker's UNIMPLEMENTED is so never the caller's fault.
            switch method {
            case "Infer": self = .inference(method: "Infer")
            case "Describe": self = .inference(method: "Describe")
            default: self = .unknown
            }
        case "groot.v1.Fleet", "grpc.health.v1.Health": self = .control
        default: self = .unknown
        }
    }
}
