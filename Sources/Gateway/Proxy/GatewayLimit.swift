/// The limits that requests run into beside those of HTTP/2: label of `groot_gateway_limits_hit_total`, and the key that
/// sets it.
enum GatewayLimit: String, Sendable, CaseIterable {
    case retryShare = "retry-share"
    case retryLateness = "retry-lateness"
    case heldBytes = "held-bytes"
    case bodySize = "body-size"
    /// Headers that workers would not accept.
    case workerHeaders = "worker-max-header-list-size"
    case uploadTimeout = "upload-timeout"
    case uploadRate = "upload-rate"
    case robotConnections = "robot-connections"
    case robotStreams = "robot-streams"
    case robotUploads = "robot-uploads"
    case robotHeldBytes = "robot-held-bytes"
    case peerConnections = "peer-connections"
    case peerStreams = "peer-streams"
    case peerUploads = "peer-uploads"
    case peerHeldBytes = "peer-held-bytes"

    static func of(_ budget: Participant.Budget, isRobot: Bool) -> GatewayLimit {
        switch budget {
        case .connections: isRobot ? .robotConnections : .peerConnections
        case .streams: isRobot ? .robotStreams : .peerStreams
        case .uploads: isRobot ? .robotUploads : .peerUploads
        case .heldBytes: isRobot ? .robotHeldBytes : .peerHeldBytes
        }
    }
}
