import GrootCore
import HTTP2
import NIOCore
import NIOPosix
import Testing

/// What the server answers to frames that no library would send. Each case has a connection of its own, and the server
/// must still serve the next one.
@Suite(.timeLimit(.minutes(1)))
struct FrameTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var answer: Answer
    }

    enum Answer: Sendable, Equatable {
        case goAway(HTTP2ErrorCode)
        case reset(HTTP2ErrorCode)
        case pong
        case closed
    }

    static let cases: [Case] = [
        Case(testDescription: "no preface", bytes: Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), answer: .closed),
        Case(testDescription: "ping", bytes: hello + frame(6, 0, 0, [UInt8](repeating: 7, count: 8)), answer: .pong),
        Case(
            testDescription: "ping of seven bytes",
            bytes: hello + frame(6, 0, 0, [UInt8](repeating: 7, count: 7)),
            answer: .goAway(.frameSizeError)
        ),
        Case(
            testDescription: "DATA on stream 0",
            bytes: hello + frame(0, 0, 0, [1]),
            answer: .goAway(.protocolError)
        ),
        Case(
            testDescription: "frame larger than agreed",
            bytes: hello + [0x10, 0, 0, 0, 0, 0, 0, 0, 1],
            answer: .goAway(.frameSizeError)
        ),
        Case(
            testDescription: "window increment of zero",
            bytes: hello + frame(8, 0, 0, [0, 0, 0, 0]),
            answer: .goAway(.protocolError)
        ),
        Case(
            testDescription: "window overflow",
            bytes: hello + frame(8, 0, 0, [0x7F, 0xFF, 0xFF, 0xFF]),
            answer: .goAway(.flowControlError)
        ),
        Case(
            testDescription: "headers that do not decode",
            bytes: hello + frame(1, 5, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            answer: .goAway(.compressionError)
        ),
        Case(
            testDescription: "even stream id",
            bytes: hello + frame(1, 5, 2, request),
            answer: .goAway(.protocolError)
        ),
        Case(
            testDescription: "CONTINUATION without HEADERS",
            bytes: hello + frame(9, 4, 1, request),
            answer: .goAway(.protocolError)
        ),
    ]

    @Test(arguments: cases)
    func brokenPeersAreAnswered(_ example: Case) async throws {
        let echo = EchoServer()
        let endpoint = try await echo.start()
        guard case .tcp(_, let port) = endpoint else { return }
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: Void.self)
        let reader = FrameReader(expected: example.answer, found: answer)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(reader.handler())
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: example.bytes)).get()
        try await answer.futureResult.get()
        try? await channel.close().get()
        let client = try await TestClient(endpoint)
        let next = try await client.call("/echo", 100)
        #expect(next.status == 200, "others are served on")
        try await client.stop()
        try await echo.stop()
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let hello = preface + frame(4, 0, 0, [])
    /// POST, http, /never, authority x: HPACK literals without indexing.
    static let request: [UInt8] = [0x83, 0x86] + [0x04, 6] + Array("/never".utf8) + [0x01, 1, UInt8(ascii: "x")]

    static func repeated(_ times: Int, _ bytes: [UInt8]) -> [UInt8] {
        Array(repeatElement(bytes, count: times).joined())
    }

    static func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: Int, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        var bytes = [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(stream >> shift & 255)) }
        return bytes + payload
    }
}

/// Parses the server's frames until the expected one; fails the promise when the connection closes without it.
private struct FrameReader: Sendable {
    let expected: FrameTests.Answer
    let found: EventLoopPromise<Void>

    func handler() -> Handler { Handler(expected: expected, found: found) }

    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let expected: FrameTests.Answer
        private let found: EventLoopPromise<Void>
        private var buffer = ByteBuffer()
        private var seen: [String] = []

        init(expected: FrameTests.Answer, found: EventLoopPromise<Void>) {
            self.expected = expected
            self.found = found
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            buffer.writeBuffer(&part)
            while let header = buffer.getBytes(at: buffer.readerIndex, length: 9) {
                let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
                guard buffer.readableBytes >= 9 + length else { return }
                buffer.moveReaderIndex(forwardBy: 9)
                var payload = buffer.readSlice(length: length) ?? ByteBuffer()
                let answer: FrameTests.Answer? =
                    switch header[3] {
                    case 3: .reset(HTTP2ErrorCode(rawValue: payload.readInteger() ?? .max))
                    case 6: header[4] & 1 == 1 ? .pong : nil
                    case 7:
                        .goAway(
                            HTTP2ErrorCode(
                                rawValue: payload.getInteger(at: payload.readerIndex + 4) ?? .max
                            )
                        )
                    default: nil
                    }
                if let answer { seen.append("\(answer)") }
                if answer == expected { found.succeed() }
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            if expected == .closed { found.succeed() }
            found.fail(HTTP2Error(.connectionClosed, "expected \(expected), saw \(seen.suffix(3))"))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
