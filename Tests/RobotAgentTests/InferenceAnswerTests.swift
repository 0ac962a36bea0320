import GRPCCore
import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

/// What an agent takes for the answer to its question.
@Suite
struct InferenceAnswerTests {
    private let policy = PolicyDescription(
        checkpoint: "act",
        policyType: "act",
        sha256: String(repeating: "a", count: 64),
        runtime: "onnx",
        images: [],
        stateNames: ["left"],
        actionNames: ["left", "right"],
        chunkSize: 3,
        actionPeriod: .milliseconds(100),
        supportsPrefix: false,
        maxTaskBytes: 16
    )

    private func answer(_ change: (inout Groot_V1_InferResponse) -> Void = { _ in }) -> Groot_V1_InferResponse {
        var answer = Groot_V1_InferResponse()
        answer.requestID = "q"
        answer.checkpoint = policy.checkpoint
        answer.checkpointSha256 = policy.sha256
        answer.rows = 3
        answer.actionNames = policy.actionNames
        answer.values = [1, 2, 3, 4, 5, 6]
        answer.actionPeriodNs = 100_000_000
        change(&answer)
        return answer
    }

    private func chunk(_ answer: Groot_V1_InferResponse) throws -> ActionChunk {
        try InferenceAnswer.chunk(answer, of: policy, requestID: "q", order: ["right", "left"])
    }

    @Test
    func anAnswerOfWhatWasAskedIsPutInOrder() throws {
        let chunk = try chunk(answer())
        #expect(chunk.rows == 3 && chunk[0, 0] == 2 && chunk[2, 1] == 5)
    }

    @Test
    func answersOfAnotherCheckpointOrContentAreRefused() {
        let long = String(repeating: "x", count: 100_000)
        let changes: [(inout Groot_V1_InferResponse) -> Void] = [
            { $0.checkpoint = "other" }, { $0.checkpoint = "" }, { $0.checkpoint = long },
            { $0.checkpointSha256 = String(repeating: "b", count: 64) }, { $0.checkpointSha256 = "" },
            { $0.checkpointSha256 = long }, { $0.requestID = long }, { $0.rows = 0 }, { $0.rows = 4 },
            { $0.rows = .max },
            {
                $0.rows = .max
                $0.actionNames = []
                $0.values = []
            }, { $0.values.removeLast() }, { $0.values[3] = .nan }, { $0.actionNames = [long, "left"] },
            { $0.actionPeriodNs = 0 }, { $0.actionPeriodNs = .max },
        ]
        for (index, change) in changes.enumerated() {
            let error = #expect(throws: RPCError.self, "change \(index)") { try chunk(answer(change)) }
            #expect(error?.code == .dataLoss, "change \(index)")
            #expect(error.map { $0.message.utf8.count <= 1024 } == true, "change \(index)")
        }
        let error = #expect(throws: RPCError.self) { try chunk(answer { $0.checkpointSha256 = "bbb" }) }
        #expect(error?.message.contains("checkpoint act (sha256 bbb), asked was act (sha256 aaaaaaaaaaaa)") == true)
    }
}
