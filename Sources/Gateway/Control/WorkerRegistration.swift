import GRPCCore
import GrootAPI
import GrootCore

/// A worker's request to join, to stay or to leave, checked field by field.
struct WorkerRegistration: Sendable, Equatable {
    var worker: String
    /// Nil when it leaves.
    var endpoint: Endpoint?

    init(_ request: Groot_V1_RegisterWorkerRequest) throws(FieldProblem) {
        worker = try FieldReader.name(request.worker, "worker")
        guard !request.leaving else { return }
        let text = try FieldReader.name(request.address, "address", limit: 300)
        do throws(EndpointError) {
            endpoint = try Endpoint(parsing: text, defaultPort: DefaultPort.worker)
        } catch {
            throw FieldProblem("address", "\(error)")
        }
        if case .tcp(let host, let port) = endpoint {
            guard host != "0.0.0.0", host != "::", port != 0 else {
                throw FieldProblem("address", "\(text) is where a worker listens, not where others reach it")
            }
        } else {
            throw FieldProblem("address", "must be host:port")
        }
    }

    /// Returns the lease; zero for a worker that leaves.
    func carryOut(_ directory: WorkerDirectory) throws(RPCError) -> Duration {
        guard let endpoint else {
            directory.leave(worker)
            return .zero
        }
        switch directory.register(worker, at: endpoint) {
        case .success(let lease): return lease
        case .failure(.taken(let who)): throw RPCError(code: .alreadyExists, message: who)
        case .failure(.full):
            throw RPCError(code: .resourceExhausted, message: "too many workers are registered (worker-limit)")
        }
    }
}
