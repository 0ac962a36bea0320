import Foundation
import FoundationNetworking
import GrootTesting
import Testing

/// The built gateway as an operator meets it: starts without workers, reads its file again, drains by order.
@Suite(.serialized)
struct GatewayOperationSerialTests {
    @Test(.timeLimit(.minutes(3)))
    func startsWithoutWorkersReloadsAndDrains() async throws {
        let fleet = try FleetFixture()
        let file = fleet.folder.url.appending(path: "gateway.json")
        let address = "127.0.0.1:\(fleet.workerPorts[0])"
        func write(_ text: String) throws { try text.write(to: file, atomically: true, encoding: .utf8) }
        try write(#"{"workers": ["\#(address)"], "policy": "p2c", "event-loops": 2}"#)
        let gateway = try fleet.start(
            "gateway",
            "groot-gateway",
            [
                "--config", file.path, "--listen", "127.0.0.1:\(fleet.gatewayPort)",
                "--admin", "127.0.0.1:\(fleet.gatewayAdmin)",
                "--state-dir", fleet.folder.url.appending(path: "gateway").path,
            ]
        )
        func state() async -> String { await fleet.get(port: fleet.gatewayAdmin, "/state") ?? "" }
        try await eventually(within: .seconds(60), "state: \(gateway.lastLines())") {
            await state().contains("connection refused")
        }
        #expect(await fleet.get(port: fleet.gatewayAdmin, "/livez") != nil)
        #expect(await fleet.get(port: fleet.gatewayAdmin, "/readyz") == nil, "no worker is up")
        #expect(await state().contains(#""policy":"p2c""#))

        try write(#"{"workers": [], "policy": "nonsense"}"#)
        kill(gateway.processIdentifier, SIGHUP)
        try await eventually("a bad file is said and changes nothing") {
            try gateway.logText().contains("there is no policy")
        }
        #expect(await state().contains(address))

        try write(#"{"workers": ["127.0.0.1:\#(fleet.workerPorts[1])"], "policy": "round-robin", "event-loops": 3}"#)
        kill(gateway.processIdentifier, SIGHUP)
        try await eventually("the new file holds") {
            let now = await state()
            return now.contains(#""policy":"round-robin""#) && !now.contains(address)
                && now.contains("127.0.0.1:\(fleet.workerPorts[1])")
        }
        #expect(try gateway.logText().contains(#""setting":"event-loops""#), "what needs a restart is named")

        #expect(try await post(fleet.gatewayAdmin, "/log-level/loud") == 400)
        #expect(try await post(fleet.gatewayAdmin, "/log-level/debug") == 200)
        #expect(try await post(fleet.gatewayAdmin, "/workers/nobody/drain") == 404)
        #expect(try await post(fleet.gatewayAdmin, "/drain") == 202)
        try await eventually(within: .seconds(30), "drains: \(gateway.lastLines())") { !gateway.isRunning }
        #expect(gateway.exitCode == 0)
    }

    @Test(.timeLimit(.minutes(1)))
    func aConfigurationThatWouldNotHoldExitsWith64AndNamesEveryProblem() async throws {
        let fleet = try FleetFixture()
        let gateway = try fleet.start(
            "check",
            "groot-gateway",
            ["check-config", "--workers", "a,a", "--policy", "best", "--set", "waiting-limit=0"]
        )
        try await eventually("ends") { !gateway.isRunning }
        #expect(gateway.exitCode == 64)
        let text = try gateway.logText()
        for part in ["a:8090 is listed twice", "no policy \"best\"", "--waiting-limit: \"0\""] {
            #expect(text.contains(part), "\(text)")
        }
    }

    private func post(_ port: Int, _ path: String) async throws -> Int {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)\(path)")))
        request.httpMethod = "POST"
        let (_, response) = try await URLSession.shared.data(for: request)
        return (response as? HTTPURLResponse)?.statusCode ?? 0
    }
}
