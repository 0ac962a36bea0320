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

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: 3_600_000_000_000 + milliseconds * millisecond)
    }

    private func buffers(_ cameras: [String]) -> ObservationBuffers {
        ObservationBuffers(
            cameras: cameras,
            maximumSkew: .milliseconds(50),
            maximumStateDistance: .milliseconds(250)
        )
    }

    private func image(_ level: UInt8, _ camera: String, _ captured: Int64, _ buffers: inout ObservationBuffers) throws
    {
        buffers.imageArrived(
            .pixels(try frame(level)),
            camera: camera,
            capturedAt: at(captured),
            at: at(captured + 40)
        )
    }

    @Test func jointStateIsInterpolatedToTheImages() throws {
        var buffers = buffers([head, chest])
        // Joint angle = seconds; 500 Hz; arrives at once. Images arrive 40 ms after capture.
        for index in Int64(0)..<200 {
            let time = at(index * 2)
            buffers.jointsArrived([Float(index * 2) / 1000], capturedAt: time, at: time)
            buffers.clawsArrived([50, 60], capturedAt: time, at: time)
        }
        try image(1, head, 301, &buffers)
        #expect(buffers.newest() == nil, "the chest camera is missing")
        try image(2, chest, 301, &buffers)
        let aligned = try #require(buffers.newest())
        #expect(abs(aligned.state[0] - 0.301) < 1e-5)
        #expect(aligned.state.suffix(2) == [50, 60])
        #expect(aligned.skew == .zero)
        #expect(aligned.capturedAt == at(301))
    }

    @Test func theNewestCompleteSetIsTaken() throws {
        var buffers = buffers([head, chest])
        buffers.jointsArrived([0], capturedAt: at(0), at: at(0))
        buffers.clawsArrived([0, 0], capturedAt: at(0), at: at(0))
        for index in Int64(0)..<3 {
            try image(UInt8(index), head, index * 33, &buffers)
            if index < 2 { try image(UInt8(10 + index), chest, index * 33 + 3, &buffers) }
        }
        let aligned = try #require(buffers.newest())
        #expect(aligned.frames[head] == .pixels(try frame(1)))
        #expect(aligned.frames[chest] == .pixels(try frame(11)))
        #expect(aligned.capturedAt == at(36))
        // Images 3 ms apart, state 36 ms older than they are.
        #expect(aligned.skew == .milliseconds(36))
    }

    @Test func imagesTooFarApartAreNoObservation() throws {
        var buffers = buffers([head, chest])
        buffers.jointsArrived([0], capturedAt: at(0), at: at(0))
        buffers.clawsArrived([0, 0], capturedAt: at(0), at: at(0))
        try image(0, head, 0, &buffers)
        try image(0, chest, 80, &buffers)
        #expect(buffers.newest() == nil)
    }

    @Test(arguments: [true, false])
    func aStateFarFromTheImagesIsNoObservation(jointsStand: Bool) throws {
        var buffers = buffers([head])
        for index in Int64(0)..<10 {
            if index < 2 || !jointsStand { buffers.jointsArrived([0], capturedAt: at(index * 50), at: at(index * 50)) }
            if index < 2 || jointsStand {
                buffers.clawsArrived([0, 0], capturedAt: at(index * 50), at: at(index * 50))
            }
        }
        try image(0, head, 200, &buffers)
        #expect(buffers.newest() != nil)
        try image(0, head, 450, &buffers)
        #expect(buffers.newest() == nil, "half of the state is 400 ms older than the picture")
    }

    @Test func aRepeatedSampleIsDropped() {
        var history = SampleHistory(capacity: 10)
        history.append([1], at: at(100))
        history.append([2], at: at(99))
        history.append([3], at: at(100))
        #expect(history.latest == [1])
        history.append([4], at: at(101))
        #expect(history.latest == [4])
    }
}
