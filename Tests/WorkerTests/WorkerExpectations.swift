import GRPCCore
import GrootAPI
import GrootTesting
import Testing

@testable import Worker

/// Waits until the worker's health says that it serves.
func serving(_ worker: WorkerHarness) async throws {
    try await eventually("the worker serves") { try await worker.health.check(.init()).status == .serving }
}

/// The request is refused with this code, in words that contain `says`.
func refused(
    _ worker: WorkerHarness,
    _ request: Groot_V1_InferRequest,
    _ code: RPCError.Code,
    _ says: String,
    sourceLocation: SourceLocation = #_sourceLocation
) async {
    let error = await #expect(throws: RPCError.self, sourceLocation: sourceLocation) {
        try await worker.inference.infer(request)
    }
    #expect(error?.code == code, sourceLocation: sourceLocation)
    #expect(error?.message.contains(says) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
}

extension Result where Failure == WorkerError {
    /// What a caller is told, in a form to compare: the answer, or the error's code.
    func told(_ answer: (Success) -> String) -> String {
        switch self {
        case .success(let value): answer(value)
        case .failure(let error): error.code.rawValue
        }
    }
}
