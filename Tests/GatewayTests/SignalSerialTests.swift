import Foundation
import FoundationNetworking
import GrootCore
import GrootTesting
import HTTP2
import Testing

@testable import Gateway

/// The built gateway and a real SIGHUP: certificate and settings are new, connections and requests are the old ones.
@Suite(.serialized)
struct SignalSerialTests {
    private let folder: TemporaryDirectory
    private let authority: TestAuthority
    private let server: TestAuthority.Issued

    init() throws {
        folder = try TemporaryDirectory(prefix: "groot-signal")
        authority = try TestAuthority()
        server = try authority.issue("gateway", uris: ["groot://gateway/g1"])
    }

    @Test(.timeLimit(.minutes(2)))
    func aHangUpRenewsCertificateAndSettingsAndDropsNothing() async throws {
        let worker = ScriptedWorker("w1")
        worker.change { $0.behaviour = .answer(after: .milliseconds(2)) }
        let file = folder.url.appending(path: "gateway.json")
        let workerAddress = "\(try await worker.start())"
        try settings(file, workerAddress, policy: "p2c", bodyLimit: 1_000_000)
        let ports = try FreePorts.take(2)
        let gateway = try start(file, ports)
        let tls = try robot()
        let address = Endpoint.tcp(host: "127.0.0.1", port: ports[0])
        try await eventually(within: .seconds(60), "ready: \(gateway.lastLines())") {
            await state(ports[1]).contains(#""name":"w1""#)
        }
        let old = try await RobotConnection(to: address, tls: tls)
        #expect(try await old.peer()?.identity?.name == "g1")
        #expect(try await old.infer(200_000).text == "w1")

        // Under way while the signal arrives: one long request, and short ones without a pause.
        worker.change { $0.behaviour = .answer(after: .seconds(2)) }
        let long = Task { try await old.infer(460_000, timeout: "20S") }
        try await eventually("the long one is at the worker") { worker.requestCount == 2 }
        worker.change { $0.behaviour = .answer(after: .milliseconds(2)) }
        let short = Task {
            var statuses: [String: Int] = [:]
            while !Task.isCancelled {
                statuses[try await old.infer(20_000, robot: "r2").grpcStatus ?? "none", default: 0] += 1
            }
            return statuses
        }
        let renewed = try authority.issue("renewed", uris: ["groot://gateway/g2"])
        for (from, to) in [(renewed.certificate, server.certificate), (renewed.key, server.key)] {
            try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to))
        }
        try settings(file, workerAddress, policy: "least-request", bodyLimit: 50_000)
        kill(gateway.processIdentifier, SIGHUP)

        try await eventually(within: .seconds(30), "the settings hold: \(gateway.lastLines())") {
            await state(ports[1]).contains(#""policy":"least-request""#)
        }
        // Sooner than the gateway looks at its files by itself.
        try await eventually(within: .seconds(8), "new connections see the new certificate") {
            let new = try await RobotConnection(to: address, tls: tls)
            let name = try await new.peer()?.identity?.name
            let works = try await new.infer(robot: "r3").text == "w1"
            try await new.close()
            return works && name == "g2"
        }
        try await eventually("the new limit holds on the old connection") {
            try await old.infer(60_000, robot: "r3").grpcStatus == "8"
        }
        #expect(try await long.value.text == "w1", "what was under way is answered")
        short.cancel()
        let statuses = try await short.value
        #expect(statuses.keys.sorted() == ["0"], "\(statuses)")
        #expect(old.closeReason == nil && gateway.isRunning)

        // A certificate that cannot be read changes nothing.
        try Data("no certificate".utf8).write(to: URL(filePath: server.certificate))
        kill(gateway.processIdentifier, SIGHUP)
        try await eventually("said") { try gateway.logText().contains("certificates not reloaded; the old ones stay") }
        let last = try await RobotConnection(to: address, tls: tls)
        #expect(try await last.peer()?.identity?.name == "g2")
        #expect(try await last.infer().text == "w1")
        try await last.close()
        try await old.close()
        gateway.terminate()
        try await eventually(within: .seconds(30), "drains: \(gateway.lastLines())") { !gateway.isRunning }
        #expect(gateway.exitCode == 0)
        try await worker.stop()
    }

    @Test(.timeLimit(.minutes(1)))
    func aBadCertificateAtTheStartEndsItAndNamesTheFile() async throws {
        let file = try authority.write("broken.pem", "no certificate")
        let gateway = try process(
            "broken",
            ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--tls-certificate", file, "--tls-key", server.key]
        )
        try await eventually(within: .seconds(30), "ends") { !gateway.isRunning }
        #expect(gateway.exitCode == ProcessExit.badInput.rawValue)
        let text = try gateway.logText()
        #expect(text.contains("TLS:") && text.contains("broken.pem"), "\(text)")
    }

    private func start(_ file: URL, _ ports: [Int]) throws -> ChildProcess {
        try process(
            "gateway",
            [
                "--config", file.path, "--listen", "127.0.0.1:\(ports[0])", "--admin", "127.0.0.1:\(ports[1])",
                "--state-dir", folder.url.appending(path: "gateway").path,
                "--tls-certificate", server.certificate, "--tls-key", server.key,
                "--tls-authority", authority.certificate,
            ]
        )
    }

    private func process(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        let binaries = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        return try ChildProcess(
            name,
            executable: binaries.appending(path: "groot-gateway"),
            arguments: arguments,
            folder: folder.url
        )
    }

    private func settings(_ file: URL, _ worker: String, policy: String, bodyLimit: Int) throws {
        try #"{"workers": ["\#(worker)"], "policy": "\#(policy)", "max-body-size": \#(bodyLimit)}"#
            .write(to: file, atomically: true, encoding: .utf8)
    }

    /// An operator may speak for any robot.
    private func robot() throws -> TLSContextSource {
        let me = try authority.issue("robot", uris: ["groot://operator/test"])
        return try TLSContextSource(
            .client,
            TLSConfiguration(certificate: me.certificate, key: me.key, authority: authority.certificate)
        )
    }

    private func state(_ port: Int) async -> String {
        // "Not yet" and "not there" are the same to a caller that asks again.
        guard let url = URL(string: "http://127.0.0.1:\(port)/state"),
            let (data, _) = try? await URLSession.shared.data(from: url)
        else { return "" }
        return String(decoding: data, as: UTF8.self)
    }
}
