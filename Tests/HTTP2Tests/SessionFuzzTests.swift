import Foundation
import GrootCore
import GrootTesting
import NIOCore
import NIOEmbedded
import Testing

@testable import HTTP2

/// Minutes: a run that was asked for may take a day.
private let timeLimit = ProcessInfo.processInfo.environment["GROOT_FUZZ_ITERATIONS"] == nil ? 30 : 24 * 60

/// Broken input of every kind into a server connection without sockets: nothing crashes, what comes out is whole frames,
/// and nothing stays counted when the connection is gone.
///
/// Seeded, so that a failure repeats: `make fuzz SEED=N ITERATIONS=1`. More of it: `make fuzz ITERATIONS=1000000`. Inputs that once failed lie in Tests/Fuzz/session
/// and are replayed first.
@Suite(.timeLimit(.minutes(timeLimit)))
struct SessionFuzzTests {
    @Test
    func mutatedSessionsHarmNobody() throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["GROOT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["GROOT_FUZZ_ITERATIONS"].flatMap { UInt64($0) } ?? 3000
        for seed in first..<first + count {
            var random = SplitMix(state: seed)
            let input = Self.mutated(&random)
            try Self.feed(input, pieces: Int.random(in: 1...4, using: &random), &random, "seed \(seed)")
        }
    }

    @Test
    func pastFailuresAndTheCorpusReplay() throws {
        var random = SplitMix(state: 0)
        for (index, input) in Self.corpus.enumerated() { try Self.feed(input, pieces: 3, &random, "corpus \(index)") }
        let folder = RepositoryRoot.url.appending(path: "Tests/Fuzz/session")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let text = try String(contentsOf: file, encoding: .utf8)
            try Self.feed(Self.bytes(hex: text), pieces: 1, &random, file.lastPathComponent)
        }
    }

    /// Whole, legal sessions that mutation starts from.
    private static let corpus: [[UInt8]] = [
        FrameTests.hello + FrameTests.frame(1, 5, 1, FrameTests.request),
        FrameTests.hello + FrameTests.frame(1, 4, 1, FrameTests.request) + FrameTests.frame(0, 0, 1, [1, 2, 3])
            + FrameTests.frame(0, 1, 1, [UInt8](repeating: 9, count: 300)),
        FrameTests.hello + FrameTests.frame(1, 0, 1, Array(FrameTests.request.prefix(3)))
            + FrameTests.frame(9, 4, 1, Array(FrameTests.request.dropFirst(3))),
        FrameTests.hello + FrameTests.frame(6, 0, 0, [UInt8](repeating: 1, count: 8))
            + FrameTests.frame(8, 0, 0, [0, 0, 1, 0]) + FrameTests.frame(2, 0, 3, [0, 0, 0, 1, 7]),
        FrameTests.preface + FrameTests.frame(4, 0, 0, [0, 4, 0, 0, 0, 1, 0, 5, 0, 1, 0, 0])
            + FrameTests.frame(1, 5, 1, FrameTests.request) + FrameTests.frame(8, 0, 1, [0, 0, 0, 9])
            + FrameTests.frame(3, 0, 1, [0, 0, 0, 8]),
        FrameTests.hello + FrameTests.frame(1, 0x2D, 1, [1, 0, 0, 0, 0, 5] + FrameTests.request + [0])
            + FrameTests.frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
    ]

    private static func mutated(_ random: inout SplitMix) -> [UInt8] {
        var bytes = corpus[Int.random(in: 0..<corpus.count, using: &random)]
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<7, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
            case 4:
                if bytes.count > 1 {
                    bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...9, using: &random)))
                }
            case 5: bytes += corpus[Int.random(in: 0..<corpus.count, using: &random)].dropFirst(24)
            default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 40)], at: at)
            }
            if bytes.isEmpty { bytes = FrameTests.hello }
        }
        // Half of the time the preface is whole, so that the frames behind it are reached.
        if Bool.random(using: &random) { bytes.replaceSubrange(0..<min(24, bytes.count), with: FrameTests.preface) }
        return bytes
    }

    private static func feed(_ input: [UInt8], pieces: Int, _ random: inout SplitMix, _ what: String) throws {
        let loop = EmbeddedEventLoop()
        let quota = ByteQuota(limit: 1 << 20)
        var opened = 0
        var ended = 0
        var observer = HTTP2Connection.Observer()
        observer.streamOpened = { stream in
            opened += 1
            return Answerer(stream) { ended += 1 }
        }
        let connection = HTTP2Connection(
            role: .server,
            limits: HTTP2Limits(),
            eventLoop: loop,
            observer: observer,
            quota: quota
        )
        let channel = EmbeddedChannel(handler: connection, loop: loop)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        var rest = input[...]
        for piece in 1...pieces {
            let count = piece == pieces ? rest.count : Int.random(in: 0...rest.count, using: &random)
            // A closed channel takes no more; that is an answer too.
            _ = try? channel.writeInbound(ByteBuffer(bytes: rest.prefix(count)))
            rest = rest.dropFirst(count)
            loop.run()
        }
        var output = ByteBuffer()
        while let part = try channel.readOutbound(as: ByteBuffer.self) { output.writeImmutableBuffer(part) }
        while let header = output.readBytes(length: 9) {
            let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            #expect(output.readSlice(length: length) != nil, "half a frame came out: \(what)")
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        #expect(opened == ended, "every stream ends once: \(what)")
        #expect(connection.openStreams == 0 && quota.usedBytes == 0, "nothing stays: \(what)")
    }

    private static func bytes(hex: String) -> [UInt8] {
        let digits = hex.filter(\.isHexDigit).map { UInt8($0.hexDigitValue ?? 0) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

/// Takes everything and answers at the end.
private final class Answerer: HTTP2StreamHandler {
    private let stream: HTTP2Stream
    private let ended: () -> Void

    init(_ stream: HTTP2Stream, ended: @escaping () -> Void) {
        self.stream = stream
        self.ended = ended
    }

    func received(headers: HTTP2Headers) {}
    func received(body: ByteBuffer) { stream.consumed(body.readableBytes) }
    func received(trailers: HTTP2Headers) {}
    func receivedEnd() {
        stream.send(headers: HTTP2Headers([(":status", "200")]))
        stream.send(body: ByteBuffer(repeating: 5, count: 3000))
        stream.send(trailers: HTTP2Headers([("grpc-status", "0")]))
    }
    func bodyLeft(byteCount: Int) {}
    func closed(_ closure: HTTP2StreamClosure) { ended() }
}

/// A small seeded generator (SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
