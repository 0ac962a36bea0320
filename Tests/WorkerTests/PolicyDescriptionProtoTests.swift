import GrootAPI
import GrootCore
import Testing

@Suite
struct PolicyDescriptionProtoTests {
    private let good = Groot_V1_Policy(ScriptedRunner(checkpoint: "one").description)

    @Test
    func `the wire form comes back unchanged`() throws {
        #expect(try PolicyDescription(good) == ScriptedRunner(checkpoint: "one").description)
    }

    @Test
    func `nonsense is refused with the feature's name`() {
        refused({ $0.inputs[0].shape = [1, 2, 2] }, saying: "observation.images.a has shape [1, 2, 2]")
        refused({ $0.inputs[1].names = ["one"] }, saying: "observation.state has shape [2] but 1 names")
        refused({ $0.inputs.remove(at: 1) }, saying: "no state feature")
        refused({ $0.inputs.append($0.inputs[1]) }, saying: "more than one state feature")
        refused({ $0.inputs[0].kind = .action }, saying: "expected image or state")
        refused({ $0.clearOutput() }, saying: "no action feature")
        refused({ $0.chunkSize = 0 }, saying: "chunk size is 0")
        refused({ $0.actionPeriodNs = 0 }, saying: "action period is 0")
    }

    private func refused(
        _ change: (inout Groot_V1_Policy) -> Void,
        saying text: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        var policy = good
        change(&policy)
        let error = #expect(throws: PolicyDescriptionError.self, sourceLocation: sourceLocation) {
            try PolicyDescription(policy)
        }
        #expect(
            error?.description.contains(text) == true,
            "\(error?.description ?? "")",
            sourceLocation: sourceLocation
        )
    }
}
