import GrootCore
import Testing

@testable import RobotAgent

/// A publisher on another computer: its stamps, when its messages arrive, and when they were really made.
private struct Stream {
    /// Nanoseconds; this machine's clock is the true one.
    var period: Int64 = 10_000_000
    var offset: Int64 = 0
    var drift = 0.0
    var largestDelay: Int64 = 15_000_000
    var steps: [(at: Int64, by: Int64)] = []
    /// Single messages that are stamped wrongly.
    var outliers: [Int: Int64] = [:]

    struct Message {
        var made: Int64
        var stamp: Int64
        var arrival: Int64
    }

    func messages(_ count: Int, seed: UInt64) -> [Message] {
        var random = SeededRandom(seed: seed)
        var last: Int64 = 0
        return (0..<count).map { index in
            let made = 1_000_000_000_000 + Int64(index) * period
            let set = steps.filter { Int64(index) * period >= $0.at }.reduce(0) { $0 + $1.by }
            let own = made + offset + Int64(Double(Int64(index) * period) * drift) + set + (outliers[index] ?? 0)
            // A stream never overtakes itself.
            last = max(last, made + Int64.random(in: 200_000...largestDelay, using: &random))
            return Message(made: made, stamp: own, arrival: last)
        }
    }
}

private struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

struct StampClockTests {
    private static let second: Int64 = 1_000_000_000
    private static let bound: Int64 = 50_000_000

    private struct Outcome {
        var worst: Int64 = 0
        var used = 0
        var unused = 0
        var steps = 0
    }

    private func play(_ stream: Stream, _ count: Int, seed: UInt64) -> Outcome {
        var clock = StampClock()
        var outcome = Outcome()
        for message in stream.messages(count, seed: seed) {
            let arrival = MonotonicInstant(nanoseconds: message.arrival)
            switch clock.arrived(stamp: message.stamp, at: arrival) {
            case .captured(let instant):
                outcome.worst = max(outcome.worst, abs(instant.nanoseconds - message.made))
                outcome.used += 1
            case .stepped(let instant, _):
                outcome.worst = max(outcome.worst, abs(instant.nanoseconds - message.made))
                outcome.steps += 1
            case .unstamped, .repeated, .doubtful: outcome.unused += 1
            }
        }
        return outcome
    }

    /// Five seconds apart and 200 ppm, at the rates of joints and of cameras.
    @Test(arguments: [-5.0, -0.9, -0.3, 0, 0.31, 0.9, 5.0], [2, 10, 33, 100])
    func anOffsetAndADriftDoNotMatter(seconds: Double, milliseconds: Int64) {
        for (seed, drift) in [(UInt64(1), 200e-6), (2, -200e-6), (3, 0)] {
            var stream = Stream()
            stream.period = milliseconds * 1_000_000
            stream.offset = Int64(seconds * 1e9)
            stream.drift = drift
            let count = Int(120_000 / milliseconds)
            let outcome = play(stream, count, seed: seed)
            #expect(outcome.worst < Self.bound, "\(outcome)")
            #expect(outcome.unused <= count / 100, "\(outcome)")
        }
    }

    @Test(arguments: [-2.0, -0.6, -0.1, 0.1, 0.6, 2.0], [10, 33, 100])
    func aClockThatIsSetIsFollowedAndNoAgeIsWrongMeanwhile(seconds: Double, milliseconds: Int64) {
        var stream = Stream()
        stream.period = milliseconds * 1_000_000
        stream.offset = Self.second
        stream.steps = [(10 * Self.second, Int64(seconds * 1e9)), (20 * Self.second, -Int64(seconds * 1e9))]
        let outcome = play(stream, Int(30_000 / milliseconds), seed: 7)
        #expect(outcome.worst < Self.bound, "\(outcome)")
        #expect(outcome.steps == 2, "\(outcome)")
        #expect(outcome.unused <= 2 * StampClock.agreement + 3, "\(outcome)")
    }

    @Test(arguments: [0.9, -0.9, 30, -30, 1_700_000_000])
    func oneWrongStampChangesNothing(seconds: Double) {
        var stream = Stream()
        stream.outliers = [100: Int64(seconds * 1e9), 250: Int64(seconds * 1e9), 251: -Int64(seconds * 1e9)]
        let outcome = play(stream, 500, seed: 3)
        #expect(outcome.worst < Self.bound, "\(outcome)")
        #expect(outcome.steps == 0)
        #expect(outcome.unused == 3, "\(outcome)")
    }

    /// A machine that stalls: messages come late and in a burst, and are as old as they are.
    @Test func lateMessagesAreOldAndStillTrue() {
        var clock = StampClock()
        var worst: Int64 = 0
        var unused = 0
        var last: Int64 = 0
        for index in 0..<1000 {
            let made = 1_000_000_000_000 + Int64(index) * 10_000_000
            let stall = index % 200
            // Every two seconds nothing comes for 300 ms.
            let delay: Int64 = stall < 30 ? Int64(30 - stall) * 10_000_000 : 1_000_000
            last = max(last + 10_000, made + delay)
            switch clock.arrived(stamp: made - 3 * Self.second, at: MonotonicInstant(nanoseconds: last)) {
            case .captured(let instant) where index >= 30: worst = max(worst, abs(instant.nanoseconds - made))
            case .captured: break
            default: unused += 1
            }
        }
        #expect(worst < Self.bound)
        #expect(unused <= 2 * StampClock.agreement, "\(unused)")
    }

    @Test func emptyAndRepeatedStampsAreNamed() {
        var clock = StampClock()
        let now = MonotonicInstant(nanoseconds: 5)
        #expect(clock.arrived(stamp: 0, at: now) == .unstamped)
        #expect(clock.arrived(stamp: 70, at: now) == .captured(now))
        #expect(clock.arrived(stamp: 70, at: now) == .repeated)
    }

    /// Nothing is ever newer than its arrival, whatever the stamps are.
    @Test(arguments: 0..<50)
    func noStampMakesAMessageComeFromTheFuture(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var clock = StampClock()
        for index in Int64(1)..<400 {
            let arrival = MonotonicInstant(nanoseconds: index * 10_000_000)
            let stamp = index * 10_000_000 + Int64.random(in: -(3 * Self.second)...(3 * Self.second), using: &random)
            switch clock.arrived(stamp: stamp, at: arrival) {
            case .captured(let instant), .stepped(let instant, _): #expect(instant <= arrival)
            default: break
            }
        }
    }
}
