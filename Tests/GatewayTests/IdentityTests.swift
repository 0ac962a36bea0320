import Foundation
import GrootCore
import GrootTesting
import HTTP2
import Subprocess
import Testing

@testable import Gateway

/// mTLS on both sides of the gateway: robots speak for themselves, workers prove who they are, certificates are
/// replaced and revoked while connections live.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct IdentityTests {
    let authority: TestAuthority
    let server: TestAuthority.Issued

    init() throws {
        authority = try TestAuthority()
        server = try authority.issue("gateway", uris: ["groot://gateway/g1"])
    }

    @Test
    func aRobotSpeaksForItselfOnly() async throws {
        try await withGateway(as: "groot://robot/r1") { gateway, worker in
            let own = try await gateway.infer(200_000)
            #expect(own.text == "w1")
            let seen = try #require(worker.now.requests.first)
            #expect(seen["groot-peer"] == "robot/r1" && seen["groot-robot"] == "r1")
            let other = try await gateway.infer(robot: "r2")
            #expect(other.grpcStatus == "7")
            #expect(other.grpcMessage == "the certificate of robot/r1 does not allow to speak for robot \"r2\"")
            let silent = try await gateway.infer(robot: nil)
            #expect(silent.text == "w1", "the certificate says who it is")
            let forged = try await gateway.infer(extra: [("groot-peer", "operator/root")])
            #expect(forged.text == "w1")
            #expect(worker.now.requests.allSatisfy { $0["groot-robot"] == "r1" && $0["groot-peer"] == "robot/r1" })
            #expect(gateway.metric("groot_gateway_tls_handshakes_total{outcome=\"ok\"}") == "1")
        }
    }

    @Test
    func operatorsSpeakForAnyRobotAndWorkersForNone() async throws {
        try await withGateway(as: "groot://operator/load") { gateway, _ in
            for robot in ["r1", "r2"] {
                let response = try await gateway.infer(robot: robot)
                #expect(response.text == "w1")
            }
        }
        try await withGateway(as: "groot://worker/w9") { gateway, _ in
            let response = try await gateway.infer()
            #expect(response.grpcStatus == "7")
        }
        try await withGateway(as: "https://example.org/nobody") { gateway, _ in
            let response = try await gateway.infer()
            #expect(response.grpcStatus == "7" && response.grpcMessage.contains("names nobody"))
        }
    }

    @Test
    func grpcioIsServedOrTurnedAway() async throws {
        let stranger = try TestAuthority("Stranger")
        let robot = try authority.issue("r1", uris: ["groot://robot/r1"])
        let expired = try authority.issue("old", uris: ["groot://robot/r1"], days: -1)
        let foreign = try stranger.issue("r1", uris: ["groot://robot/r1"])
        try await withGateway(as: "groot://robot/r0") { gateway, worker in
            worker.change { $0.behaviour = .message }
            func ask(_ issued: TestAuthority.Issued?, robot: String, authority: String? = nil) async throws -> String {
                try await python(
                    "grpc_identity.py",
                    ["\(gateway.address)", authority ?? self.authority.certificate]
                        + [issued?.certificate ?? "-", issued?.key ?? "-", robot]
                )
            }
            for name in ["r1", "-"] {
                let answer = try await ask(robot, robot: name)
                #expect(answer == "OK worker=w1 bytes=2\n")
            }
            let denied = try await ask(robot, robot: "r2")
            #expect(denied.hasPrefix("PERMISSION_DENIED the certificate of robot/r1"), "\(denied)")
            for bad in [expired, foreign, nil] {
                let refused = try await ask(bad, robot: "r1")
                #expect(refused.hasPrefix("UNAVAILABLE"), "\(refused)")
            }
            let distrusted = try await ask(robot, robot: "r1", authority: stranger.certificate)
            #expect(distrusted.hasPrefix("UNAVAILABLE"), "\(distrusted)")
            #expect(gateway.metric("groot_gateway_tls_handshakes_total{outcome=\"failed\"}") != "0")
        }
    }

    @Test
    func aWorkerWithoutTheRightCertificateIsNotUsed() async throws {
        for uri in ["groot://robot/r1", nil] {
            let issuer = uri == nil ? try TestAuthority("Stranger") : authority
            let worker = try issuer.issue("worker", uris: [uri].compactMap(\.self))
            let source = try TLSContextSource(
                .server,
                TLSConfiguration(certificate: worker.certificate, key: worker.key, authority: authority.certificate)
            )
            let scripted = ScriptedWorker("w1", tls: source)
            let workerTLS = try TLSContextSource(
                .client,
                TLSConfiguration(certificate: server.certificate, key: server.key, authority: authority.certificate)
            )
            let gateway = try await GatewayFixture(workers: [try await scripted.start()]) {
                $0.workerTLS = workerTLS
                $0.holdLimit = .milliseconds(100)
            }
            let why = uri == nil ? "certificate is refused" : "its certificate is that of robot/r1, not of a worker"
            #expect(await eventually { gateway.dataPlane.workerStatuses[0].reason.contains(why) })
            let response = try await gateway.infer()
            #expect(response.grpcStatus == "14")
            try await gateway.stop()
            try await scripted.stop()
        }
    }

    /// On pages, in metrics, in reports and in answers.
    @Test
    func aWorkersNameIsItsCertificates() async throws {
        for said in ["w1", "w2", "", String(repeating: "x", count: 100_000), "\u{1B}[31m\"w\n"] {
            try await withGateway(as: "groot://robot/r1", workerSays: said) { gateway, _ in
                let response = try await gateway.infer()
                #expect(response.headers["groot-worker"] == "w1", "\(said.prefix(20))")
                #expect(await eventually { gateway.reports.all.map(\.name) == ["w1"] })
                #expect(gateway.dataPlane.workerStatuses.map(\.name) == ["w1"])
                let up = gateway.registry.render().split(separator: "\n").filter {
                    $0.hasPrefix("groot_gateway_worker_up{")
                }
                let address = gateway.dataPlane.workerStatuses[0].address
                #expect(up == ["groot_gateway_worker_up{address=\"\(address)\",worker=\"w1\"} 1.0"])
            }
        }
    }

    @Test
    func aRevokedRobotIsCutOffAtTheReload() async throws {
        let list = try authority.write("revoked", "# none\n")
        try await withGateway(as: "groot://robot/r1", revoked: list) { gateway, _ in
            let before = try await gateway.infer()
            #expect(before.text == "w1")
            let serial = try await output(
                "openssl",
                ["x509", "-in", authority.path("client.pem"), "-noout", "-serial"]
            )
            let number = serial.split(separator: "=").last.map(String.init) ?? ""
            _ = try authority.write("revoked", "\(number.trimmingCharacters(in: .whitespacesAndNewlines)) # stolen\n")
            gateway.dataPlane.reloadCertificates()
            #expect(await eventually { gateway.dataPlane.connectionCount == 0 })
            await #expect(throws: HTTP2Error.self) { try await gateway.infer() }
        }
    }

    // MARK: Parts

    private func withGateway(
        as uri: String,
        revoked: String? = nil,
        workerSays name: String = "w1",
        _ body: (GatewayFixture, ScriptedWorker) async throws -> Void
    ) async throws {
        let authority = authority.certificate
        let worker = try self.authority.issue("worker", uris: ["groot://worker/w1"])
        let me = try self.authority.issue("client", uris: [uri])
        let listener = try TLSContextSource(
            .server,
            TLSConfiguration(
                certificate: server.certificate,
                key: server.key,
                authority: authority,
                revoked: revoked
            )
        )
        let workerTLS = try TLSContextSource(
            .client,
            TLSConfiguration(certificate: server.certificate, key: server.key, authority: authority)
        )
        let scripted = ScriptedWorker(
            name,
            tls: try TLSContextSource(
                .server,
                TLSConfiguration(certificate: worker.certificate, key: worker.key, authority: authority)
            )
        )
        let gateway = try await GatewayFixture(
            workers: [try await scripted.start()],
            client: try TLSContextSource(
                .client,
                TLSConfiguration(certificate: me.certificate, key: me.key, authority: authority)
            )
        ) {
            $0.tls = listener
            $0.workerTLS = workerTLS
        }
        #expect(await gateway.up(1))
        try await body(gateway, scripted)
        try await gateway.stop()
        try await scripted.stop()
    }

    private func python(_ script: String, _ arguments: [String]) async throws -> String {
        let path = RepositoryRoot.url.appending(path: "Tests/Conformance/\(script)").path
        return try await output(RepositoryRoot.python, [path] + arguments)
    }

    private func output(_ tool: String, _ arguments: [String]) async throws -> String {
        let result = try await Subprocess.run(
            .name("env"),
            arguments: Arguments([tool] + arguments),
            output: .string(limit: 1 << 16),
            error: .string(limit: 1 << 16)
        )
        return result.standardOutput
    }
}
