package import GRPCCore
package import GrootAPI
import GrootCore
import SwiftProtobuf

/// gRPC's health protocol: SERVING only between warm-up and drain, and while at least one runtime can answer.
///
/// The protocol knows two answers; which of loading, warming, serving or draining it is, `/readyz` and the metric
/// `groot_worker_phase` say. The trailers say which set of checkpoints `Describe` would list.
///
/// Known names are the empty one (the whole worker) and `groot.v1.Inference`.
package struct HealthService: Grpc_Health_V1_Health.ServiceProtocol {
    private static let names: Set<String> = ["", Groot_V1_Inference.descriptor.fullyQualifiedService]

    private let state: ServingState

    package init(state: ServingState) {
        self.state = state
    }

    package func check(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        let service = request.message.service
        guard Self.names.contains(service) else {
            throw RPCError(
                code: .notFound,
                message: "Service \"\(ReadableText.clipped(service, to: ReadableText.nameBytes))\" is not known here;"
                    + " known: \(Self.names.sorted())."
            )
        }
        return ServerResponse(message: answer(), trailingMetadata: trailers())
    }

    package func watch(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        let isKnown = Self.names.contains(request.message.service)
        return StreamingServerResponse { writer in
            guard isKnown else {
                try await writer.write(.with { $0.status = .serviceUnknown })
                return [:]
            }
            // The watch ends with the drain, or with the caller.
            let watching = Task {
                for await _ in state.watch() {
                    // The newest truth, not the one at the time of the change.
                    try await writer.write(answer())
                }
            }
            try await withRPCCancellationHandler {
                try await watching.value
            } onCancelRPC: {
                // A graceful shutdown cancels calls too, but the last word is NOT_SERVING.
                if state.phase != .draining { watching.cancel() }
            }
            return trailers()
        }
    }

    private func answer() -> Grpc_Health_V1_HealthCheckResponse {
        .with { $0.status = state.isServing ? .serving : .notServing }
    }

    private func trailers() -> Metadata {
        var metadata = Metadata()
        metadata.addString("\(state.generation)", forKey: MetadataKey.generation)
        return metadata
    }
}
