import GRPCCore
import GrootCore

/// The one place through which every error of the worker leaves: its text is readable and short, whatever it quotes.
///
/// A `grpc-message` is a header: one that is longer than a peer reads ends the connection, with the calls of everybody
/// on it.
struct StatusTextInterceptor: ServerInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @concurrent @Sendable (StreamingServerRequest<Input>, ServerContext) async throws ->
            StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        do {
            var response = try await next(request, context)
            switch response.accepted {
            case .failure(let error): response.accepted = .failure(Self.readable(error))
            case .success(let contents):
                let produce = contents.producer
                response.accepted = .success(
                    .init(metadata: contents.metadata) { writer in
                        do { return try await produce(writer) } catch { throw Self.readable(error) }
                    }
                )
            }
            return response
        } catch {
            throw Self.readable(error)
        }
    }

    private static func readable(_ error: any Error) -> any Error {
        var failure: RPCError
        switch error {
        case let error as RPCError: failure = error
        case let error as any RPCErrorConvertible: failure = RPCError(error)
        default: return error
        }
        failure.message = ReadableText.clipped(failure.message)
        return failure
    }

    private static func readable(_ error: RPCError) -> RPCError {
        var failure = error
        failure.message = ReadableText.clipped(failure.message)
        return failure
    }
}
