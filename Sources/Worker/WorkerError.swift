import Foundation
package import GRPCCore
import GrootAPI

/// Everything the worker can fail with.
package struct WorkerError: Error, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The ONNX Runtime library cannot be found or opened.
        case runtimeMissing
        /// A file of the checkpoint is missing, malformed or does not fit the others.
        case badCheckpoint
        /// The request does not fit the checkpoint.
        case badRequest
        /// The request speaks for another robot than the one that the gateway verified.
        case notTheSpeaker
        /// The policy fails on this one request, and answers others of the same batch or a plain one right after.
        case unanswerable
        /// The request selects a checkpoint that is not served here.
        case unknownCheckpoint
        /// A newer observation of the same robot took the request's place.
        case superseded
        /// The waiting queue is full.
        case queueFull
        /// The deadline passed before the policy ran.
        case deadlineExceeded
        /// The caller went away.
        case cancelled
        /// The worker is draining or still warming up.
        case notServing
        /// The policy ran and failed or answered with nonsense.
        case inferenceFailed
        /// The policy had no memory left for the batch; a smaller one, or another worker, may do better.
        case outOfMemory
        /// The process that runs the policy crashed, hangs or has no memory left; another worker may do better.
        case runtimeLost
        /// The GPU does not answer this process any more; the worker ends, and whoever supervises it starts another.
        case deviceLost
        /// An inference does not end, and the thread that it holds cannot be ended: the worker ends as for a lost GPU.
        case runtimeHung
        /// The request found a checkpoint in the moment in which it was exchanged; asked again, it finds the new one.
        case retired
        /// The checkpoint does not fit into the memory budget beside what is served.
        case overBudget
    }

    package var code: Code
    /// What went wrong and what to do about it.
    package var message: String
    package var cause: (any Error)?
    /// When asking again, with a newer observation, makes sense.
    package var retryAfter: Duration?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil, retryAfter: Duration? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
        self.retryAfter = retryAfter
    }

    package var description: String {
        cause.map { "\(message) (\($0.localizedDescription))" } ?? message
    }
}

/// The one table from our codes to what a client sees.
extension WorkerError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch code {
        case .badRequest, .unanswerable: .invalidArgument
        case .notTheSpeaker: .permissionDenied
        case .unknownCheckpoint: .notFound
        case .superseded: .aborted
        case .queueFull, .overBudget: .resourceExhausted
        case .deadlineExceeded: .deadlineExceeded
        case .cancelled: .cancelled
        case .notServing, .outOfMemory, .runtimeLost, .deviceLost, .runtimeHung, .retired: .unavailable
        case .inferenceFailed: .internalError
        case .runtimeMissing, .badCheckpoint: .failedPrecondition
        }
    }

    package var rpcErrorMessage: String { message }

    package var rpcErrorMetadata: Metadata {
        guard let retryAfter else { return [:] }
        var metadata = Metadata()
        metadata.addString("\(retryAfter.wholeMilliseconds)", forKey: "grpc-retry-pushback-ms")
        metadata.addString("\(retryAfter.wholeMilliseconds)", forKey: MetadataKey.nextObservationAfter)
        return metadata
    }

    package var rpcErrorCause: (any Error)? { cause }
}
