package import GRPCCore
package import GrootAPI

/// gRPC's health protocol: SERVING only between warm-up and drain, and while at least one runtime can answer.
///
/// The protocol knows two answers; which of loading, warming, serving or draining it is, `/readyz` and the metric
/// `groot_worker_phase` say.
///
/// Known names are the empty one (the whole worker) and `groot.v1.Inference`.
package struct HealthService: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private static let names: Set<String> = ["", Groot_V1_Inference.descriptor.fullyQualifiedService]

    private let state: ServingState

    package init(state: ServingState) {
        self.state = state
    }

    package func check(
        request: Grpc_Health_V1_HealthCheckRequest,
        context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard Self.names.contains(request.service) else {
            throw RPCError(
                code: .notFound,
                message: "Service \"\(request.service)\" is not known here; known: \(Self.names.sorted())."
            )
        }
        return response()
    }

    package func watch(
        request: Grpc_Health_V1_HealthCheckRequest,
        response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        guard Self.names.contains(request.service) else {
            var unknown = Grpc_Health_V1_HealthCheckResponse()
            unknown.status = .serviceUnknown
            try await response.write(unknown)
            return
        }
        // The watch ends with the drain, or with the caller.
        let watching = Task { [state] in
            for await _ in state.watch() {
                // The newest truth, not the one at the time of the change.
                var answer = Grpc_Health_V1_HealthCheckResponse()
                answer.status = state.isServing ? .serving : .notServing
                try await response.write(answer)
            }
        }
        try await withRPCCancellationHandler {
            try await watching.value
        } onCancelRPC: { [state] in
            // A graceful shutdown cancels calls too, but the last word is NOT_SERVING.
            if state.phase != .draining { watching.cancel() }
        }
    }

    private func response() -> Grpc_Health_V1_HealthCheckResponse {
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = state.isServing ? .serving : .notServing
        return response
    }
}
