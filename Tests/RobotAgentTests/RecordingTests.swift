import Foundation
import GrootCore
import GrootTesting
import Logging
import NIOCore
import ROS1
import Testing

@testable import RobotAgent

struct RecordingTests {
    private func record(into directory: URL, images: Int) throws -> URL {
        let recorder = try Recorder(directory: directory, robot: "r1", logger: Logger(label: "test"))
        let before = SensorsData()
        recorder.received(before, topic: "/sensors_data_raw", at: .now())
        let recording = try #require(recorder.begin(episode: "e1"))
        for index in 0..<images {
            var sensors = SensorsData()
            sensors.joints.q = [Double(index)]
            recorder.received(
                sensors,
                topic: "/sensors_data_raw",
                at: MonotonicInstant(nanoseconds: Int64(index) * 1_000_000)
            )
            let image = ROSImage(
                height: 100,
                width: 100,
                encoding: "rgb8",
                step: 300,
                data: [UInt8](repeating: UInt8(index % 256), count: 30_000)
            )
            recorder.received(image, topic: "/camera/color/image_raw", at: .now())
        }
        recording.end()
        recorder.received(before, topic: "/sensors_data_raw", at: .now())
        recorder.flush()
        #expect(recorder.lostCount == 0)
        return recording.url
    }

    @Test func whatWasSeenIsReadBack() throws {
        let directory = try TemporaryDirectory()
        // 300 images of 30 kB fill two chunks and a bit.
        let file = try record(into: directory.url, images: 300)
        var joints: [Double] = []
        var images = 0
        try MCAPReader.messages(in: file) { message in
            switch message.topic {
            case "/sensors_data_raw":
                #expect(message.type == "kuavo_msgs/sensorsData")
                joints.append(try SensorsData(decoding: ByteBuffer(bytes: message.body)).joints.q[0])
            default: images += 1
            }
        }
        #expect(joints == (0..<300).map(Double.init), "only the episode, in order")
        #expect(images == 300)
    }

    /// The reference reader of the format: index, statistics, schemas and bytes.
    @Test func theFormatsOwnReaderAgrees() throws {
        let directory = try TemporaryDirectory()
        let file = try record(into: directory.url, images: 300)
        let python = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers/read_mcap.py")
        let process = Process()
        // Made by scripts/setup.sh.
        process.executableURL = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".state/python/bin/python")
        process.arguments = [python.path, file.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(
            output.split(separator: "\n") == [
                "profile ros1", "messages 600 in 3 chunks",
                "/camera/color/image_raw sensor_msgs/Image ros1msg ros1 300",
                "/sensors_data_raw kuavo_msgs/sensorsData ros1msg ros1 300", "read 600, in time order",
            ],
            "\(output)"
        )
    }

    @Test func aTornFileIsAnError() throws {
        let directory = try TemporaryDirectory()
        let file = try record(into: directory.url, images: 3)
        let whole = try Data(contentsOf: file)
        try whole.prefix(whole.count / 2).write(to: file)
        #expect(throws: AgentError.self) { try MCAPReader.messages(in: file) { _ in } }
        try Data("no".utf8).write(to: file)
        #expect(throws: AgentError.self) { try MCAPReader.messages(in: file) { _ in } }
    }
}
