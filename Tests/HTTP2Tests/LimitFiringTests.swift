import GrootCore
import HTTP2
import NIOCore
import Testing

/// Each limiter against a peer that provokes it: it fires, it says its name, others are served on.
@Suite(.timeLimit(.minutes(1)))
struct LimitFiringTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var limit: HTTP2Limit
        var testDescription: String
        var change: @Sendable (inout HTTP2Limits) -> Void = { _ in }
        var bytes: [UInt8]
        /// What the peer sees: GOAWAY with ENHANCE_YOUR_CALM, or nothing but the end of a stream or the connection.
        var calmDown = true
    }

    static let cases: [Case] = [
        Case(
            limit: .rapidReset,
            testDescription: "streams opened and reset",
            bytes: hello + each(700) { FrameTests.frame(1, 5, $0, request) + FrameTests.frame(3, 0, $0, [0, 0, 0, 8]) }
        ),
        Case(
            limit: .rapidReset,
            testDescription: "streams that make us reset them (MadeYouReset)",
            change: { $0.maxConcurrentStreams = 1000 },
            bytes: hello
                + each(700) { FrameTests.frame(1, 5, $0, request) + FrameTests.frame(8, 0, $0, [0x7F, 255, 255, 255]) }
        ),
        Case(limit: .settingsFlood, testDescription: "SETTINGS", bytes: hello + repeated(200, frame(4, 0, 0, []))),
        Case(
            limit: .pingFlood,
            testDescription: "PING, in a burst",
            change: { $0.pingInterval = .zero },
            bytes: hello + repeated(700, ping)
        ),
        Case(limit: .pingFlood, testDescription: "PING, oftener than the policy", bytes: hello + repeated(4, ping)),
        Case(
            limit: .priorityFlood,
            testDescription: "PRIORITY",
            bytes: hello + repeated(1200, frame(2, 0, 1, [0, 0, 0, 0, 1]))
        ),
        Case(
            limit: .windowUpdateFlood,
            testDescription: "WINDOW_UPDATE",
            bytes: hello + repeated(6000, frame(8, 0, 0, [0, 0, 0, 1]))
        ),
        Case(
            limit: .concurrentStreams,
            testDescription: "more streams than announced, the announcement still under way",
            change: { $0.maxConcurrentStreams = 2 },
            bytes: hello + each(3) { FrameTests.frame(1, 4, $0, request) },
            calmDown: false
        ),
        Case(
            limit: .concurrentStreams,
            testDescription: "more streams than acknowledged",
            change: { $0.maxConcurrentStreams = 2 },
            bytes: hello + frame(4, 1, 0, []) + each(3) { FrameTests.frame(1, 4, $0, request) },
            calmDown: false
        ),
        Case(
            limit: .emptyFrameFlood,
            testDescription: "empty DATA",
            bytes: hello + frame(1, 4, 1, request) + repeated(200, frame(0, 0, 1, []))
        ),
        Case(
            limit: .unknownFrameFlood,
            testDescription: "frames of no known type",
            bytes: hello + repeated(1200, frame(0xEE, 0, 0, [1, 2, 3]))
        ),
        Case(
            limit: .continuationFlood,
            testDescription: "CONTINUATION",
            bytes: hello + frame(1, 1, 1, request) + repeated(20, frame(9, 0, 1, FrameTests.field("x", "y")))
        ),
        Case(
            limit: .headerList,
            testDescription: "too many fields",
            bytes: hello + frame(1, 5, 1, request + repeated(100, FrameTests.field("x", "y"))),
            calmDown: false
        ),
        Case(
            limit: .headerList,
            testDescription: "cookie crumbs",
            change: { $0.maxHeaderFields = 5000 },
            bytes: hello + frame(1, 5, 1, request + repeated(2000, [0x0F, 0x11, 1, 0x61])),
            calmDown: false
        ),
        Case(
            limit: .headerBomb,
            testDescription: "one byte a field, thousands of bytes decoded",
            change: { $0.maxHeaderFields = 100_000 },
            bytes: hello + frame(1, 5, 1, request + bigEntry + [UInt8](repeating: 0xBE, count: 1000))
        ),
        Case(
            limit: .headerTimeout,
            testDescription: "a header block that does not end",
            change: { $0.headerTimeout = .milliseconds(40) },
            bytes: hello + frame(1, 1, 1, request)
        ),
        Case(
            limit: .handshakeTimeout,
            testDescription: "nothing at all",
            change: { $0.handshakeTimeout = .milliseconds(40) },
            bytes: [],
            calmDown: false
        ),
        Case(
            limit: .streamIdle,
            testDescription: "a stream on which nothing moves",
            change: { $0.streamIdleTimeout = .milliseconds(40) },
            bytes: hello + frame(1, 4, 1, request),
            calmDown: false
        ),
        Case(
            limit: .writeStalled,
            testDescription: "zero window",
            change: { $0.writeTimeout = .milliseconds(40) },
            bytes: preface + frame(4, 0, 0, [0, 4, 0, 0, 0, 0]) + frame(1, 5, 1, flood),
            calmDown: false
        ),
        Case(
            limit: .queuedBytesOfConnection,
            testDescription: "answers that nobody takes",
            change: { $0.maxQueuedBytes = 6 << 20 },
            bytes: hello + frame(1, 5, 1, flood) + frame(1, 5, 3, flood),
            calmDown: false
        ),
        Case(
            limit: .queuedBytesInAll,
            testDescription: "answers that nobody takes, all connections together",
            change: { $0.maxQueuedBytesInAll = 6 << 20 },
            bytes: hello + frame(1, 5, 1, flood) + frame(1, 5, 3, flood),
            calmDown: false
        ),
        Case(
            limit: .connectionIdle,
            testDescription: "an idle connection",
            change: { $0.idleTimeout = .milliseconds(40) },
            bytes: hello,
            calmDown: false
        ),
        Case(
            limit: .connectionAge,
            testDescription: "an old connection",
            change: { $0.maxConnectionAge = .milliseconds(40) },
            bytes: hello,
            calmDown: false
        ),
    ]

    @Test(arguments: cases)
    func fires(_ example: Case) async throws {
        var limits = HTTP2Limits()
        example.change(&limits)
        let echo = EchoServer(limits: limits)
        let endpoint = try await echo.start()
        guard case .tcp(_, let port) = endpoint else { return }
        let peer = try await RawPeer(port: port)
        peer.send(ByteBuffer(bytes: example.bytes))
        #expect(await eventually { echo.limitsHit.contains(example.limit) }, "fired: \(echo.limitsHit)")
        #expect(Set(echo.limitsHit) == [example.limit], "nothing else fires")
        if example.calmDown {
            #expect(await eventually { peer.isClosed })
            #expect(peer.goAway == 11, "GOAWAY: \(peer.goAway.map(String.init) ?? "none")")
        }
        if example.limit == .connectionAge { #expect(await eventually { peer.goAway == 0 }) }
        // Where every connection ends after 40 ms, the next one would too.
        if ![.connectionIdle, .connectionAge].contains(example.limit) {
            let client = try await TestClient(endpoint)
            let next = try await client.call("/early", 0)
            #expect(next.status == 413, "others are served on")
            try await client.stop()
        }
        try await echo.stop()
    }

    @Test
    func aSlowReaderEndsAndTheOthersDoNot() async throws {
        var limits = HTTP2Limits()
        limits.writeTimeout = .milliseconds(200)
        limits.maxQueuedBytes = 64 << 20
        let echo = EchoServer(limits: limits)
        let endpoint = try await echo.start()
        guard case .tcp(_, let port) = endpoint else { return }
        // Grants every window there is and then never reads its socket.
        let slow = try await RawPeer(port: port, reads: false)
        var bytes = FrameTests.preface + FrameTests.frame(4, 0, 0, [0, 4, 0x7F, 255, 255, 255])
        bytes += FrameTests.frame(8, 0, 0, [0x7F, 0, 0, 0])
        for stream in stride(from: 1, through: 15, by: 2) { bytes += FrameTests.frame(1, 5, stream, Self.flood) }
        slow.send(ByteBuffer(bytes: bytes))
        #expect(await eventually { echo.limitsHit.contains(.writeStalled) })
        #expect(await eventually { echo.server.queuedBytes == 0 })
        let client = try await TestClient(endpoint)
        let next = try await client.call("/echo", 1 << 20)
        #expect(next.body.readableBytes == 1 << 20)
        try await client.stop()
        try await echo.stop()
    }

    @Test
    func connectionsAreCounted() async throws {
        var limits = HTTP2Limits()
        limits.maxConnections = 2
        let echo = EchoServer(limits: limits)
        let endpoint = try await echo.start()
        let first = try await TestClient(endpoint)
        let second = try await TestClient(endpoint)
        await #expect(throws: HTTP2Error.self) { _ = try await TestClient(endpoint) }
        #expect(echo.limitsHit == [.connections])
        try await second.stop()
        #expect(await eventually { echo.server.connectionCount == 1 })
        let third = try await TestClient(endpoint)
        let response = try await third.call("/echo", 10)
        #expect(response.status == 200)
        try await third.stop()
        try await first.stop()
        try await echo.stop()
    }

    private static let preface = FrameTests.preface
    private static let hello = FrameTests.hello
    private static let request = FrameTests.request
    private static let ping = FrameTests.frame(6, 0, 0, [UInt8](repeating: 0, count: 8))
    /// POST /flood.
    private static let flood: [UInt8] =
        [0x83, 0x86] + [0x04, 6] + Array("/flood".utf8) + [0x01, 1, UInt8(ascii: "x")]
    /// A field of 3000 bytes that enters the dynamic table, at index 62.
    private static let bigEntry: [UInt8] =
        [0x40, 1, UInt8(ascii: "b"), 0x7F, 0xB9, 0x16] + [UInt8](repeating: UInt8(ascii: "v"), count: 3000)

    private static func frame(_ type: UInt8, _ flags: UInt8, _ stream: Int, _ payload: [UInt8]) -> [UInt8] {
        FrameTests.frame(type, flags, stream, payload)
    }

    private static func repeated(_ times: Int, _ bytes: [UInt8]) -> [UInt8] { FrameTests.repeated(times, bytes) }

    private static func each(_ streams: Int, _ bytes: (Int) -> [UInt8]) -> [UInt8] {
        (0..<streams).flatMap { bytes(1 + 2 * $0) }
    }
}

extension RawPeer {
    /// Error code of the last GOAWAY received.
    var goAway: UInt32? {
        var buffer = received
        var code: UInt32?
        while let header = buffer.readBytes(length: 9) {
            let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            guard let payload = buffer.readSlice(length: length) else { break }
            if header[3] == 7 { code = payload.getInteger(at: payload.readerIndex + 4) }
        }
        return code
    }
}
