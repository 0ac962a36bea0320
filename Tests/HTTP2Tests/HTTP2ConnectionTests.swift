import GrootCore
import HTTP2
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTP2ConnectionTests {
    @Test(arguments: [0, 1, 2048, 2049, 460_000, 3_000_000])
    func bodiesComeBackWithTrailersAndMetadata(_ size: Int) async throws {
        try await withEcho { client, _ in
            let response = try await client.call(
                "/echo",
                size,
                extra: [("x-note", "a b"), ("x-blob-bin", "AAECA/8=")]
            )
            #expect(response.status == 200)
            #expect(response.body == TestClient.body(size))
            #expect(response.headers["x-note"] == "a b")
            #expect(response.headers["x-blob-bin"] == "AAECA/8=")
            #expect(response.trailers["x-end"] == "yes")
        }
    }

    @Test
    func manyStreamsShareOneConnection() async throws {
        try await withEcho { client, echo in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<300 {
                    group.addTask { try await client.call("/echo", 1000 + index).body.readableBytes }
                }
                var sizes: Set<Int> = []
                for try await size in group { sizes.insert(size) }
                #expect(sizes == Set(1000..<1300))
            }
            #expect(echo.server.connectionCount == 1)
        }
    }

    @Test
    func aStalledStreamHoldsOneWindowAndNobodyElse() async throws {
        try await withEcho { client, echo in
            let stalled = Task { try await client.call("/stall", 4 << 20, timeout: .seconds(8)) }
            #expect(await eventually { echo.receivedBytes >= 1 << 20 })
            for _ in 0..<20 {
                let response = try await client.call("/echo", 2 << 20)
                #expect(response.body.readableBytes == 2 << 20)
            }
            #expect(echo.receivedBytes == 41 << 20, "the stalled stream got exactly its window")
            stalled.cancel()
        }
    }

    @Test
    func anAnswerBeforeTheBodyStopsTheUpload() async throws {
        try await withEcho { client, echo in
            let response = try await client.call("/early", 32 << 20)
            #expect(response.status == 413)
            let again = try await client.call("/echo", 10)
            #expect(again.status == 200)
            #expect(echo.receivedBytes < 32 << 20)
        }
    }

    @Test
    func noAnswerTimesOut() async throws {
        try await withEcho { client, _ in
            let error = await #expect(throws: HTTP2Error.self) {
                try await client.call("/never", 1, timeout: .milliseconds(50))
            }
            #expect(error?.code == .timedOut)
            let next = try await client.call("/echo", 1)
            #expect(next.status == 200)
        }
    }

    @Test
    func drainFinishesWhatIsInFlightAndThenCloses() async throws {
        try await withEcho { client, echo in
            let pending = Task { try await client.call("/never", 1, timeout: .seconds(2)) }
            #expect(await eventually { echo.openedStreams == 1 })
            let drained = Task { await echo.server.drain(budget: .seconds(5)) }
            #expect(await eventually { client.isGoneAway })
            #expect(!client.isClosed, "the stream in flight keeps the connection")
            await #expect(throws: HTTP2Error.self) { try await client.call("/echo", 1) }
            await #expect(throws: HTTP2Error.self) { try await pending.value }
            await drained.value
            #expect(await eventually { client.isClosed })
        }
    }

    @Test
    func aLostConnectionFailsItsStreams() async throws {
        try await withEcho { client, echo in
            let pending = Task { try await client.call("/never", 1) }
            #expect(await eventually { echo.openedStreams == 1 })
            await echo.server.abort()
            let error = await #expect(throws: HTTP2Error.self) { try await pending.value }
            #expect(error?.code == .connectionClosed)
        }
    }

    @Test
    func nobodyThereIsSaidSo() async throws {
        let error = await #expect(throws: HTTP2Error.self) {
            _ = try await TestClient(.tcp(host: "127.0.0.1", port: 1))
        }
        #expect(error?.message == "connection refused")
    }

    private func withEcho(_ body: (TestClient, EchoServer) async throws -> Void) async throws {
        let echo = EchoServer()
        let client = try await TestClient(try await echo.start())
        try await body(client, echo)
        try await client.stop()
        try await echo.stop()
    }
}
