import Foundation
import GrootCore
import GrootTesting
import HTTP2
import NIOCore
import Testing

/// TLS between our own client and server, and with curl and openssl as foreign peers, over real certificates.
@Suite(.timeLimit(.minutes(1)))
struct TLSTests {
    let authority: TestAuthority
    let server: TestAuthority.Issued

    init() throws {
        authority = try TestAuthority()
        server = try authority.issue("server", uris: ["groot://gateway/g1"])
    }

    @Test(arguments: [0, 1, 16_375, 16_384, 16_385, 460_000, 3_000_000])
    func bodiesComeBack(_ size: Int) async throws {
        try await withEcho { echo, endpoint in
            let client = try await TestClient(endpoint, tls: try client(as: "groot://robot/r1"))
            let response = try await client.call("/echo", size)
            #expect(response.status == 200 && response.body.readableBytes == size)
            #expect(response.body == TestClient.body(size))
            #expect(response.trailers["x-end"] == "yes")
            #expect(client.peer?.identity == PeerIdentity(.gateway, "g1"))
            #expect(client.peer?.version == "TLSv1.3")
            let seen = echo.secured.first
            #expect(try seen?.get().identity == PeerIdentity(.robot, "r1"))
            try await client.stop()
        }
    }

    @Test
    func manyStreamsShareOneConnection() async throws {
        try await withEcho { _, endpoint in
            let client = try await TestClient(endpoint, tls: try client(as: "groot://robot/r1"))
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<200 {
                    group.addTask { try await client.call("/echo", 10_000 + index).body.readableBytes }
                }
                var sizes: Set<Int> = []
                for try await size in group { sizes.insert(size) }
                #expect(sizes == Set(10_000..<10_200))
            }
            try await client.stop()
        }
    }

    @Test
    func strangersAreRefused() async throws {
        let stranger = try TestAuthority("Stranger")
        try await withEcho { echo, endpoint in
            // Who shows no certificate, or one of another authority, gets no answer.
            for tls in [
                try TLSContextSource(.client, TLSConfiguration(authority: authority.certificate)),
                try client(as: "groot://robot/r1", of: stranger),
            ] {
                let client = try? await TestClient(endpoint, tls: tls)
                await #expect(throws: HTTP2Error.self) {
                    _ = try await client?.call("/echo", 1, timeout: .seconds(5))
                    if client == nil { throw HTTP2Error(.tls, "refused at once") }
                }
                try await client?.stop()
            }
            #expect(await eventually { echo.secured.count == 2 })
            let reasons = echo.secured.map { result in
                if case .failure(let error) = result { error.message } else { "accepted" }
            }
            #expect(reasons.contains { $0.contains("peer did not return a certificate") }, "\(reasons)")
            #expect(reasons.contains { $0.contains("certificate is refused") }, "\(reasons)")
            #expect(echo.openedStreams == 0)
        }
    }

    @Test
    func serversThatDoNotProveTheirNameAreRefused() async throws {
        let stranger = try TestAuthority("Stranger")
        try await withEcho { _, endpoint in
            let tls = try client(as: "groot://robot/r1")
            let wrongName = await refusal(endpoint, tls, serverName: "elsewhere")
            #expect(wrongName.contains("hostname mismatch"), "\(wrongName)")
            let wrongAddress = await refusal(endpoint, tls, serverName: "127.0.0.9")
            #expect(wrongAddress.contains("IP address mismatch"), "\(wrongAddress)")
            let other = try TLSContextSource(.client, TLSConfiguration(authority: stranger.certificate))
            let wrongAuthority = await refusal(endpoint, other)
            #expect(wrongAuthority.contains("certificate is refused"), "\(wrongAuthority)")
        }
    }

    @Test
    func cleartextAndOtherProtocolsAreTurnedAway() async throws {
        try await withEcho { echo, endpoint in
            await #expect(throws: HTTP2Error.self) { _ = try await TestClient(endpoint) }
            #expect(await eventually { !echo.secured.isEmpty })
            guard case .tcp(_, let port) = endpoint else { return }
            let me = try authority.issue("me")
            let identity = ["-cert", me.certificate, "-key", me.key, "-CAfile", authority.certificate]
            let http1 = try await output(
                "openssl",
                ["s_client", "-connect", "127.0.0.1:\(port)", "-alpn", "http/1.1"] + identity
            )
            #expect(http1.contains("no application protocol"), "\(http1)")
            let old = try await output(
                "openssl",
                ["s_client", "-connect", "127.0.0.1:\(port)", "-alpn", "h2", "-tls1_1"] + identity
            )
            #expect(old.contains("alert protocol version") || old.contains("no protocols available"), "\(old)")
            let twelve = try await output(
                "openssl",
                ["s_client", "-connect", "127.0.0.1:\(port)", "-alpn", "h2", "-tls1_2"] + identity
            )
            #expect(twelve.contains("ALPN protocol: h2") && twelve.contains("Verify return code: 0 (ok)"), "\(twelve)")
            let silent = try await output("openssl", ["s_client", "-connect", "127.0.0.1:\(port)"] + identity)
            #expect(await eventually { echo.reasons.contains { $0.contains("did not agree to ALPN h2") } }, "\(silent)")
        }
    }

    @Test
    func curlSpeaksWithIt() async throws {
        try await withEcho { _, endpoint in
            let me = try authority.issue("curl")
            let answer = try await output(
                "curl",
                ["-sS", "--http2", "--cacert", authority.certificate, "--cert", me.certificate, "--key", me.key]
                    + ["-w", "%{http_version} %{http_code}", "-d", "hello", "https://\(endpoint)/echo"]
            )
            #expect(answer == "hello2 200")
        }
    }

    @Test
    func newConnectionsGetTheNewCertificateAndOldOnesLiveOn() async throws {
        let source = try serverSource()
        try await withEcho(source) { _, endpoint in
            let tls = try client(as: "groot://robot/r1")
            let before = try await TestClient(endpoint, tls: tls)
            #expect(before.peer?.identity?.name == "g1")
            let renewed = try authority.issue("renewed", uris: ["groot://gateway/g2"])
            for (from, to) in [(renewed.certificate, server.certificate), (renewed.key, server.key)] {
                try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to))
            }
            #expect(try source.reload())
            let after = try await TestClient(endpoint, tls: tls)
            #expect(after.peer?.identity?.name == "g2")
            for client in [before, after] {
                let response = try await client.call("/echo", 100_000)
                #expect(response.body.readableBytes == 100_000)
                try await client.stop()
            }
        }
    }

    @Test
    func garbageAndSilenceHarmNobody() async throws {
        var limits = HTTP2Limits()
        limits.handshakeTimeout = .milliseconds(100)
        try await withEcho(limits: limits) { echo, endpoint in
            guard case .tcp(_, let port) = endpoint else { return }
            let silent = try await RawPeer(port: port)
            #expect(await eventually { echo.reasons.contains { $0.contains("handshake did not end within") } })
            #expect(await eventually { silent.isClosed })
            let loud = try await RawPeer(port: port)
            loud.send(ByteBuffer(bytes: (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 131) }))
            #expect(await eventually { loud.isClosed })
            let client = try await TestClient(endpoint, tls: try client(as: "groot://robot/r1"))
            let response = try await client.call("/echo", 5)
            #expect(response.status == 200)
            try await client.stop()
        }
    }

    // MARK: Parts

    private func serverSource() throws -> TLSContextSource {
        try TLSContextSource(
            .server,
            TLSConfiguration(certificate: server.certificate, key: server.key, authority: authority.certificate)
        )
    }

    private func client(as uri: String, of issuer: TestAuthority? = nil) throws -> TLSContextSource {
        let me = try (issuer ?? authority).issue("client", uris: [uri])
        return try TLSContextSource(
            .client,
            TLSConfiguration(certificate: me.certificate, key: me.key, authority: authority.certificate)
        )
    }

    private func refusal(_ endpoint: Endpoint, _ tls: TLSContextSource, serverName: String? = nil) async -> String {
        do {
            let client = try await TestClient(endpoint, tls: tls, serverName: serverName)
            try await client.stop()
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    private func withEcho(
        _ source: TLSContextSource? = nil,
        limits: HTTP2Limits = HTTP2Limits(),
        _ body: (EchoServer, Endpoint) async throws -> Void
    ) async throws {
        let echo = EchoServer(limits: limits, tls: try source ?? serverSource())
        let endpoint = try await echo.start()
        try await body(echo, endpoint)
        try await echo.stop()
    }
}
