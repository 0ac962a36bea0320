import GRPCCore
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import Worker

/// Who speaks: every certificate x every header x every body.
@Suite(.timeLimit(.minutes(1)))
struct SpeakerTests {
    private func speaker(peer: String?, header: String?, body: String) -> Result<String, WorkerError> {
        var metadata = Metadata()
        if let peer { metadata.addString(peer, forKey: MetadataKey.peer) }
        if let header { metadata.addString(header, forKey: MetadataKey.robot) }
        return Result { () throws(WorkerError) in try Speaker.verified(in: metadata, body: body) }
    }

    @Test(
        arguments: [nil, "robot/r1", "robot/r2", "operator/o", "gateway/g", "robot/", "r1", "robot/r1/r2", "king/r1"],
        [nil, "", "r1", "r2"]
    )
    func `a certificate's robot is the speaker, or the call is refused`(peer: String?, header: String?) {
        for body in ["", "r1", "r2"] {
            let claims = Set([header ?? "", body].filter { !$0.isEmpty })
            let expected: String =
                switch peer {
                case nil, "operator/o", "gateway/g": claims.count < 2 ? claims.first ?? "" : "badRequest"
                case "robot/r1": claims.subtracting(["r1"]).isEmpty ? "r1" : "notTheSpeaker"
                case "robot/r2": claims.subtracting(["r2"]).isEmpty ? "r2" : "notTheSpeaker"
                default: "notTheSpeaker"
                }
            let found = speaker(peer: peer, header: header, body: body).told { $0 }
            #expect(found == expected, "peer \(peer ?? "-"), header \(header ?? "-"), body \(body)")
        }
    }

    @Test
    func `two identities are none, and names are bounded`() {
        var metadata = Metadata()
        for _ in 0..<2 { metadata.addString("robot/r1", forKey: MetadataKey.peer) }
        #expect(throws: WorkerError.self) { try Speaker.verified(in: metadata, body: "r1") }
        let long = speaker(peer: nil, header: nil, body: String(repeating: "r", count: Speaker.longestName + 1))
        #expect(long.told { $0 } == "badRequest")
    }

    /// The row "body says r1, certificate r2": r1's waiting request stays where it is.
    @Test
    func `a forged body takes nobody's place`() async throws {
        let runner = ScriptedRunner(open: false)
        try await WorkerHarness.run(load: { () throws(WorkerError) in [runner] }) { worker in
            try await serving(worker)
            async let running = worker.inference.infer(.scripted(robot: "busy"))
            try await eventually("an inference runs") { await runner.isHolding }
            async let honest = worker.inference.infer(
                .scripted(robot: "r1", left: 4),
                metadata: ["groot-peer": "robot/r1", "groot-robot": "r1"]
            )
            try await eventually("it waits") { worker.metric("groot_worker_waiting_requests") == "1.0" }
            for observation in 1...20 {
                let forged = await #expect(throws: RPCError.self) {
                    _ = try await worker.inference.infer(
                        .scripted(robot: "r1", observation: UInt64(observation)),
                        metadata: ["groot-peer": "robot/r2", "groot-robot": "r2"]
                    )
                }
                #expect(forged?.code == .permissionDenied)
                #expect(forged?.message.contains("The certificate is of robot/r2") == true)
            }
            #expect(worker.metric("groot_worker_requests_total{outcome=\"notTheSpeaker\"}") == "20")
            await runner.open()
            #expect(try await honest.values.first == 4)
            _ = try await running
        }
    }

    @Test
    func `a body without a name is its certificate's robot`() async throws {
        let runner = ScriptedRunner(open: false)
        try await WorkerHarness.run(load: { () throws(WorkerError) in [runner] }) { worker in
            try await serving(worker)
            async let running = worker.inference.infer(.scripted(robot: "busy"))
            try await eventually("an inference runs") { await runner.isHolding }
            let peer: Metadata = ["groot-peer": "robot/r1"]
            let older = Task { try await worker.inference.infer(.scripted(robot: "", observation: 1), metadata: peer) }
            try await eventually("it waits") { worker.metric("groot_worker_waiting_requests") == "1.0" }
            async let newer = worker.inference.infer(.scripted(robot: "", left: 5, observation: 2), metadata: peer)
            #expect(await #expect(throws: RPCError.self) { try await older.value }?.code == .aborted)
            await runner.open()
            #expect(try await newer.values.first == 5)
            _ = try await running
        }
    }
}
