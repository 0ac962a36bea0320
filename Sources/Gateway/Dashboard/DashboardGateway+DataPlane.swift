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
        let state = dataPlane.state()
        workers = state.workers.map { worker in
            Worker(
                name: worker.name,
                address: worker.address,
                isUp: worker.up && !worker.ejected,
                isDraining: worker.draining,
                reason: worker.ejected ? "ejected after failures" : worker.up ? "" : worker.reason,
                checkpoints: worker.checkpoints,
                inFlight: worker.inFlight,
                waiting: worker.queue
            )
        }
        live = state.robots
    }
}
