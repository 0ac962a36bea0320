import GrootAPI
import Testing

@testable import RobotAgent

struct InferenceRecordTests {
    /// A checkpoint may be exchanged while an episode runs: what counts is what answered.
    @Test func theRecordSaysWhichCheckpointAnswered() {
        var record = Groot_V1_InferenceRecord()
        record.checkpoint = "told at the start"
        var response = Groot_V1_InferResponse()
        response.checkpoint = "groot-mini"
        response.checkpointSha256 = "abc"
        response.rows = 16
        record.answered(.init(response: response, worker: "w1", attempts: 2), roundTrip: .milliseconds(5))
        #expect(record.checkpoint == "groot-mini" && record.checkpointSha256 == "abc")
        #expect(record.worker == "w1" && record.attempts == 2 && record.roundTripNs == 5_000_000)
        var silent = Groot_V1_InferenceRecord()
        silent.checkpoint = "told at the start"
        silent.answered(.init(response: .init(), worker: "w1", attempts: 1), roundTrip: .zero)
        #expect(silent.checkpoint == "told at the start" && silent.checkpointSha256.isEmpty)
    }
}
