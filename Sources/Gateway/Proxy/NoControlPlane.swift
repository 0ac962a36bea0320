import GrootCore

/// Stands in for the control plane where there is none: fleet calls find nobody, inference works.
struct NoControlPlane: ControlPlaneService {
    var endpoint: Endpoint {
        get async throws { .tcp(host: "127.0.0.1", port: 0) }
    }

    func run() async throws {
        try await Task.sleep(for: .seconds(Int32.max))
    }

    func workerDescribed(_ report: WorkerReport) async {}

    var notReadyReason: String? { nil }
}
