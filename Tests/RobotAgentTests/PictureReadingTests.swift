import Foundation
import GrootCore
import GrootImaging
import GrootTesting
import ROS1
import Testing

@testable import RobotAgent

/// What cameras send, and what of it is a picture.
struct PictureReadingTests {
    private func image(_ encoding: String, bytes: Int = 3, padding: Int = 0) -> ROSImage {
        let row = [UInt8](repeating: 0, count: 2 * bytes).indices.map { UInt8($0 * 10) }
        let padded = row + [UInt8](repeating: 0x4D, count: padding)
        return ROSImage(
            height: 2,
            width: 2,
            encoding: encoding,
            step: UInt32(padded.count),
            data: padded + padded
        )
    }

    @Test(arguments: [0, 5])
    func colouredPixelsAreReadInBothOrders(padding: Int) throws {
        guard case .picture(.pixels(let rgb), let form) = PictureReading(image("rgb8", padding: padding)),
            case .picture(.pixels(let bgr), _) = PictureReading(image("bgr8", padding: padding))
        else {
            Issue.record("no pictures")
            return
        }
        #expect(rgb.pixels == [0, 10, 20, 30, 40, 50, 0, 10, 20, 30, 40, 50])
        #expect(bgr.pixels == [20, 10, 0, 50, 40, 30, 20, 10, 0, 50, 40, 30])
        #expect(form == PictureForm(width: 2, height: 2, encoding: "rgb8"))
    }

    @Test(arguments: ["mono8", "mono16", "8UC1", "16UC1", "32FC1"])
    func greyAndDepthAreRefusedByName(encoding: String) throws {
        guard case .flaw(let flaw) = PictureReading(image(encoding, bytes: 4)) else {
            Issue.record("\(encoding) was taken for a picture")
            return
        }
        #expect(flaw.kind == .unreadable)
        #expect(flaw.what == "2x2 \(encoding) is a grey or depth picture")
        #expect(flaw.remedy.contains("rgb8 or bgr8"))
    }

    @Test(arguments: ["rgba8", "bayer_rggb8", "yuv422", ""])
    func otherEncodingsAreRefusedByName(encoding: String) {
        guard case .flaw(let flaw) = PictureReading(image(encoding, bytes: 4)) else {
            Issue.record("\(encoding) was taken for a picture")
            return
        }
        #expect(flaw.what == "2x2 \(encoding) is not an encoding that is read")
    }

    @Test func sizesThatDoNotFitTheBytesAreRefused() {
        var short = image("rgb8")
        short.data.removeLast()
        var narrow = image("rgb8")
        narrow.step = 5
        var empty = image("rgb8")
        empty.width = 0
        var huge = image("rgb8")
        (huge.width, huge.height, huge.step) = (.max, .max, .max)
        for image in [short, narrow, empty, huge] {
            guard case .flaw(let flaw) = PictureReading(image) else {
                Issue.record("\(image.width)x\(image.height) was taken for a picture")
                continue
            }
            #expect(flaw.kind == .unreadable)
        }
    }

    @Test func filesAreReadByWhatTheyAre() throws {
        let frame = try #require(CameraFrame(width: 16, height: 16, pixels: [UInt8](repeating: 90, count: 768)))
        let jpeg = try JPEGEncoder(quality: 90).encode(frame)
        #expect(
            PictureReading(CompressedImage(format: "bgr8; jpeg compressed bgr8", data: jpeg)).picture == .jpeg(jpeg)
        )
        let png = SamplePNG.colours
        let reading = PictureReading(CompressedImage(format: "rgb8; png compressed", data: png))
        #expect(reading.picture == .png(png))
        #expect(reading.content == .picture(PictureForm(width: 4, height: 2, encoding: "rgb8; png compressed")))
        #expect(try reading.picture?.decoded().pixels.prefix(3) == [200, 40, 20])
    }

    @Test(arguments: [
        ("16UC1; compressedDepth png", SamplePNG.depth), ("mono8; png compressed", SamplePNG.grey),
        ("png", SamplePNG.grey), ("mono8; png compressed", SamplePNG.colours),
    ])
    func greyFilesAreRefusedByName(format: String, file: [UInt8]) {
        guard case .flaw(let flaw) = PictureReading(CompressedImage(format: format, data: file)) else {
            Issue.record("\(format) was taken for a picture")
            return
        }
        #expect(flaw.what == "4x2 \(format) is a grey or depth picture")
    }

    @Test func whatIsNoFileIsRefused() {
        for data in [[], [1, 2, 3], Array(SamplePNG.colours.prefix(20))] as [[UInt8]] {
            guard case .flaw(let flaw) = PictureReading(CompressedImage(format: "jpeg", data: data)) else {
                Issue.record("\(data.count) bytes were taken for a picture")
                continue
            }
            #expect(flaw.what.contains("no whole picture"))
        }
    }
}
