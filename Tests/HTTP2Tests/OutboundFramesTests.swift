import Glibc
import NIOCore
import NIOEmbedded
import Testing

@testable import HTTP2

/// How bodies are cut into frames and how frames are handed to the channel.
struct OutboundFramesTests {
    @Test
    func `everything leaves in order, small bodies with the frame headers around them`() {
        var frames = OutboundFrames()
        func serialise(_ text: String) {
            unsafe Array(text.utf8).withUnsafeBytes { unsafe frames.append($0) }
        }
        #expect(drained(&frames) == [])
        serialise("a")
        frames.append(ByteBuffer(string: "large"), inlineSize: 4)
        frames.append(ByteBuffer(string: "again"), inlineSize: 4)
        serialise("b")
        frames.append(ByteBuffer(string: "tiny"), inlineSize: 4)
        serialise("c")
        #expect(frames.byteCount == 17)
        #expect(drained(&frames) == ["a", "large", "again", "btinyc"])
        #expect(frames.byteCount == 0)
        frames.append(ByteBuffer(string: "first"), inlineSize: 4)
        #expect(drained(&frames) == ["first"])
        #expect(drained(&frames) == [])
    }

    @Test
    func `vectors show every byte in order, and what went another way is left out of the writes`() {
        func frames() -> OutboundFrames {
            var frames = OutboundFrames()
            for (text, inline) in [
                ("head", 9), ("first body", 4), ("second", 4), ("mid", 9), ("third one", 4), ("end", 9),
            ] {
                frames.append(ByteBuffer(string: text), inlineSize: inline)
            }
            return frames
        }
        let whole = "headfirst bodysecondmidthird oneend"
        var shown = frames()
        let pieces = unsafe shown.withVectors { vectors in
            unsafe vectors.map {
                unsafe String(decoding: UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len), as: UTF8.self)
            }
        }
        #expect(pieces == ["head", "first body", "second", "mid", "third one", "end"])
        for gone in 0...whole.utf8.count {
            var rest = ""
            var frames = frames()
            frames.drain(skipping: gone) { rest += String(buffer: $0) }
            #expect(rest == whole.dropFirst(gone))
            #expect(frames.byteCount == 0)
        }
    }

    @Test(arguments: [
        // As they came from a socket that was read in pieces of 64 KiB: no part is cut.
        (parts: [16_384, 10_000, 6_384, 16_384], limit: 16_384, frames: [16_384, 16_384, 16_384]),
        (parts: [6_000, 16_384], limit: 16_384, frames: [6_000, 16_384]),
        // What fits into no frame is cut.
        (parts: [40_000], limit: 16_384, frames: [16_384, 16_384, 7_232]),
        (parts: [100, 40_000, 5], limit: 16_384, frames: [100, 16_384, 16_384, 7_237]),
        (parts: [1, 2, 3], limit: 16_384, frames: [6]),
    ])
    func `a frame carries whole parts where they fit`(_ example: (parts: [Int], limit: Int, frames: [Int])) {
        let connection = HTTP2Connection(
            role: .client,
            limits: HTTP2Limits(),
            eventLoop: EmbeddedEventLoop(),
            observer: .init()
        )
        let stream = HTTP2Stream(id: 1, connection: connection)
        for size in example.parts { stream.send(body: ByteBuffer(repeating: 7, count: size)) }
        var frames: [Int] = []
        while case .bytes(let count, last: false, trailers: _) = stream.nextBody(limit: example.limit) {
            var taken = 0
            stream.takeBody(count) { taken += $0.readableBytes }
            #expect(taken == count)
            frames.append(count)
        }
        #expect(frames == example.frames)
    }

    private func drained(_ frames: inout OutboundFrames) -> [String] {
        var writes: [String] = []
        frames.drain { writes.append(String(buffer: $0)) }
        return writes
    }
}
