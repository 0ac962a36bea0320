import GrootCore
import Testing

@testable import RobotAgent

struct ObservationBuffersTests {
    private let head = "observation.images.cam_head"
    private let chest = "observation.images.cam_chest"
    private let millisecond: Int64 = 1_000_000

    private func frame(_ level: UInt8) throws -> CameraFrame {
        try #require(CameraFrame(width: 1, height: 1, pixels: [level, level, level]))
    }

    /// Publisher's clock and ours differ by an hour.
    private func local(_ stamp: Int64, delay: Int64 = 0) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: stamp + 3_600_000_000_000 + delay)
    }

    @Test func jointStateIsInterpolatedToTheImages() throws {
        var buffers = ObservationBuffers(cameras: [head, chest], maximumSkew: .milliseconds(50))
        // Joint angle = seconds; 500 Hz; arrives at once. Images arrive 40 ms after capture.
        for index in Int64(0)..<200 {
            let stamp = index * 2 * millisecond
            buffers.jointsArrived([Float(stamp) / 1e9], stamp: stamp, at: local(stamp))
            buffers.clawsArrived([50, 60], stamp: stamp, at: local(stamp))
        }
        let stamp = 301 * millisecond
        buffers.imageArrived(
            .init(stamp: stamp, frame: try frame(1)),
            camera: head,
            at: local(stamp, delay: 40 * millisecond)
        )
        #expect(buffers.newest() == nil, "the chest camera is missing")
        buffers.imageArrived(
            .init(stamp: stamp, frame: try frame(2)),
            camera: chest,
            at: local(stamp, delay: 41 * millisecond)
        )
        let aligned = try #require(buffers.newest())
        #expect(abs(aligned.state[0] - 0.301) < 1e-5)
        #expect(aligned.state.suffix(2) == [50, 60])
        #expect(aligned.skew == .zero)
        // The instant of capture on our clock, not of arrival.
        #expect(aligned.capturedAt == local(stamp))
    }

    @Test func theNewestCompleteSetIsTaken() throws {
        var buffers = ObservationBuffers(cameras: [head, chest], maximumSkew: .milliseconds(50))
        buffers.jointsArrived([0], stamp: 0, at: local(0))
        buffers.clawsArrived([0, 0], stamp: 0, at: local(0))
        for index in Int64(0)..<3 {
            let stamp = index * 33 * millisecond
            buffers.imageArrived(.init(stamp: stamp, frame: try frame(UInt8(index))), camera: head, at: local(stamp))
            if index < 2 {
                let late = stamp + 3 * millisecond
                buffers.imageArrived(
                    .init(stamp: late, frame: try frame(UInt8(10 + index))),
                    camera: chest,
                    at: local(late)
                )
            }
        }
        let aligned = try #require(buffers.newest())
        #expect(aligned.frames[head] == .pixels(try frame(1)))
        #expect(aligned.frames[chest] == .pixels(try frame(11)))
        #expect(aligned.stamp == 36 * millisecond)
        // Images 3 ms apart, state 36 ms older than they are.
        #expect(aligned.skew == .milliseconds(36))
    }

    @Test func imagesTooFarApartAreNoObservation() throws {
        var buffers = ObservationBuffers(cameras: [head, chest], maximumSkew: .milliseconds(50))
        buffers.jointsArrived([0], stamp: 0, at: local(0))
        buffers.clawsArrived([0, 0], stamp: 0, at: local(0))
        buffers.imageArrived(.init(stamp: 0, frame: try frame(0)), camera: head, at: local(0))
        let stamp = 80 * millisecond
        buffers.imageArrived(.init(stamp: stamp, frame: try frame(0)), camera: chest, at: local(stamp))
        #expect(buffers.newest() == nil)
    }

    @Test func aRestartedPublisherIsFollowed() {
        var history = SampleHistory(capacity: 10)
        history.append(stamp: 100_000_000_000, values: [1])
        history.append(stamp: 99_999_999_999, values: [2])
        #expect(history.latest == [1], "a repeated sample is dropped")
        history.append(stamp: 5, values: [3])
        #expect(history.latest == [3])
    }

    @Test func theStampClockUsesTheFastestMessage() {
        var clock = StampClock()
        clock.observed(stamp: 0, arrivedAt: local(0, delay: 30 * millisecond))
        clock.observed(stamp: 10 * millisecond, arrivedAt: local(10 * millisecond, delay: millisecond))
        clock.observed(stamp: 20 * millisecond, arrivedAt: local(20 * millisecond, delay: 50 * millisecond))
        #expect(clock.instant(of: 0) == local(0, delay: millisecond))
        // Two windows later the old estimate is forgotten.
        for second in Int64(1)...12 {
            clock.observed(
                stamp: second * 1000 * millisecond,
                arrivedAt: local(second * 1000 * millisecond, delay: 9 * millisecond)
            )
        }
        #expect(clock.instant(of: 0) == local(0, delay: 9 * millisecond))
    }
}
