import Foundation
import GrootTesting
import Testing

/// Built gateway and worker: a worker that nobody listed joins by itself, is forgotten when it dies, and says goodbye.
@Suite(.serialized)
struct WorkerRegistrationSerialTests {
    @Test(.timeLimit(.minutes(3)))
    func aWorkerJoinsIsForgottenWhenItDiesAndLeavesWhenItIsStopped() async throws {
        let fleet = try FleetFixture()
        let gateway = try fleet.start(
            "gateway",
            "groot-gateway",
            [
                "--listen", "127.0.0.1:\(fleet.gatewayPort)", "--admin", "127.0.0.1:\(fleet.gatewayAdmin)",
                "--state-dir", fleet.folder.url.appending(path: "gateway").path, "--set", "lease-ms=2000",
            ]
        )
        func state() async -> String { await fleet.get(port: fleet.gatewayAdmin, "/state") ?? "" }
        try await eventually(within: .seconds(60), "serves: \(gateway.lastLines())") {
            await state().contains(#""workers":[]"#)
        }
        let join = ["--gateway", "127.0.0.1:\(fleet.gatewayPort)"]
        for end in ["killed", "stopped"] {
            let worker = try fleet.startWorker(0, join)
            try await eventually(within: .seconds(60), "joins: \(worker.lastLines()) \(gateway.lastLines())") {
                let now = await state()
                return now.contains(#""source":"registered""#) && now.contains(#""up":true"#)
                    && now.contains(#""checkpoints":["groot-mini"]"#)
            }
            try await eventually(within: .seconds(30), "ready") {
                await fleet.isReady(port: fleet.gatewayAdmin)
            }
            if end == "killed" { worker.kill() } else { worker.terminate() }
            try await eventually(within: .seconds(30), "\(end): \(gateway.lastLines())") {
                await state().contains(#""workers":[]"#)
            }
            #expect(await fleet.get(port: fleet.gatewayAdmin, "/readyz") == nil)
            // Only the lease tells of a worker that was killed; one that is stopped says so itself.
            let expiries = try gateway.logText().components(separatedBy: "its lease ended").count - 1
            #expect(expiries == 1, "\(end)")
        }
        gateway.terminate()
        try await eventually(within: .seconds(30), "drains: \(gateway.lastLines())") { !gateway.isRunning }
        #expect(gateway.exitCode == 0)
    }
}
