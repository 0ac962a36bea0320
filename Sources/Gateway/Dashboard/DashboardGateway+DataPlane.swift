import GrootCore

extension DashboardGateway {
    /// - Parameters:
    ///   - dataPlane: nil while it starts.
    ///   - configured: what it will look for.
    init(_ dataPlane: DataPlane?, configured: [Endpoint]) {
        guard let dataPlane else {
            workers = configured.map { endpoint in
                Worker(
                    name: "\(endpoint)",
                    address: "\(endpoint)",
                    isUp: false,
                    reason: "not reached yet",
                    inFlight: 0
                )
            }
            notReady = "the control plane is starting"
            return
        }
        notReady = dataPlane.notReadyReason
        workers = zip(dataPlane.workerStatuses, dataPlane.inFlight).map { status, inFlight in
            Worker(
                name: status.name,
                address: "\(status.address)",
                isUp: status.isUp,
                reason: status.isUp ? "" : status.reason,
                checkpoints: status.checkpoints,
                inFlight: inFlight
            )
        }
    }
}
