import GrootCore
import Testing

@testable import ROS1

/// A subscriber gets whole messages in order, however little its socket takes at a time, and never an old one.
struct SubscriberBacklogTests {
    /// A socket that takes `space` bytes and then no more until it is given space again.
    private struct Socket {
        var space = 0
        var isBroken = false
        var taken: [UInt8] = []

        mutating func write(_ bytes: Span<UInt8>) -> Int? {
            guard !isBroken else { return nil }
            let count = min(space, bytes.count)
            for index in 0..<count { taken.append(bytes[index]) }
            space -= count
            return count
        }
    }

    private static let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// Length, then the message's number in every byte of the body.
    private func frame(_ number: Int, length: Int) -> [UInt8] {
        [UInt8(length & 255), UInt8(length >> 8), 0, 0] + Array(repeating: UInt8(number % 251), count: length)
    }

    /// Numbers of the whole messages in a stream, and the bytes behind the last.
    private func messages(in bytes: [UInt8]) -> (numbers: [UInt8], rest: Int) {
        var numbers: [UInt8] = []
        var position = 0
        while position + 4 <= bytes.count {
            let length = Int(bytes[position]) | Int(bytes[position + 1]) << 8
            guard position + 4 + length <= bytes.count else { break }
            let body = Set(bytes[position + 4..<position + 4 + length])
            #expect(body.count == 1, "a message is made of its own bytes")
            numbers += body
            position += 4 + length
        }
        return (numbers, bytes.count - position)
    }

    @Test(arguments: UInt64(1)...40)
    func whatArrivesIsWholeMessagesInOrder(seed: UInt64) throws {
        var random = Seeded(state: seed)
        var backlog = SubscriberBacklog(frameBytes: 64)
        var socket = Socket()
        var sent: [UInt8] = []
        for number in 0..<200 {
            if Int.random(in: 0..<3, using: &random) > 0 { socket.space += Int.random(in: 0...90, using: &random) }
            let bytes = frame(number, length: Int.random(in: 1...60, using: &random))
            let outcome = backlog.offer(bytes.span, at: Self.start) { socket.write($0) }
            switch outcome {
            case .sent: sent.append(UInt8(number % 251))
            case .leftOut: #expect(socket.space == 0, "left out although there was space")
            default: Issue.record("\(outcome) at message \(number)")
            }
        }
        socket.space = 1000
        let last = frame(250, length: 8)
        #expect(backlog.offer(last.span, at: Self.start, write: { socket.write($0) }) == .sent)
        let (numbers, rest) = messages(in: socket.taken)
        #expect(numbers == sent + [250])
        #expect(rest == 0, "nothing is left over")
        #expect(sent.count < 200 && sent.count > 20, "seed \(seed) tested little: \(sent.count)")
    }

    @Test func whoTakesNothingForASecondIsGivenUpOnce() {
        var backlog = SubscriberBacklog(frameBytes: 64)
        var socket = Socket(space: 10)
        let bytes = frame(1, length: 20)
        func offer(_ milliseconds: Int) -> SubscriberBacklog.Outcome {
            backlog.offer(bytes.span, at: Self.start + .milliseconds(milliseconds)) { socket.write($0) }
        }
        #expect(offer(0) == .sent)
        #expect(offer(10) == .leftOut)
        #expect(offer(1000) == .leftOut)
        socket.space = 14
        #expect(offer(1005) == .leftOut, "the rest is out, the next does not fit")
        socket.space = 24
        #expect(offer(1008) == .sent, "who goes on in time is kept")
        #expect(offer(1020) == .leftOut)
        #expect(offer(2020) == .gaveUp)
        #expect(backlog.isGivenUp)
        socket.space = 100
        #expect(offer(2030) == .over)
        #expect(messages(in: socket.taken).numbers == [1, 1])
    }

    @Test func aBrokenConnectionIsReportedOnce() {
        var backlog = SubscriberBacklog(frameBytes: 64)
        var socket = Socket(space: 5)
        let bytes = frame(1, length: 20)
        #expect(backlog.offer(bytes.span, at: Self.start, write: { socket.write($0) }) == .sent)
        socket.isBroken = true
        #expect(backlog.offer(bytes.span, at: Self.start, write: { socket.write($0) }) == .broken)
        #expect(backlog.offer(bytes.span, at: Self.start, write: { socket.write($0) }) == .over)
        #expect(!backlog.isGivenUp)
    }
}

/// A small seeded generator, so that a failing seed can be repeated.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
