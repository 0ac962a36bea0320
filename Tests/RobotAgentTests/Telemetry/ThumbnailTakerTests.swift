import Foundation
import GrootAPI
import GrootCore
import GrootImaging
import Logging
import SwiftProtobuf
import Testing

@testable import RobotAgent

struct ThumbnailTakerTests {
    @Test func onePictureOfEachCameraPerInterval() async throws {
        let folder = MemoryFolder()
        let spool = try TelemetrySpool(storage: folder, robot: "r1", boot: "b1", logger: Logger(label: "test"))
        let taker = ThumbnailTaker(
            episode: "0c5f4b5e-0000-4000-8000-000000000001",
            interval: .seconds(3600),
            rotated: ["head"],
            spool: spool
        )
        // The upper half is red: in the rotated camera it comes out below.
        let pixels: [UInt8] = (0..<640 * 480 * 3).map { $0 < 640 * 240 * 3 && $0 % 3 == 0 ? 255 : 0 }
        let frame = try #require(CameraFrame(width: 640, height: 480, pixels: pixels))
        let small = try #require(CameraFrame(width: 64, height: 32, pixels: Array(repeating: 9, count: 64 * 32 * 3)))
        let observation = ObservationBuffers.Aligned(
            frames: ["head": .pixels(frame), "left": .pixels(frame), "tiny": .pixels(small)],
            state: [],
            capturedAt: .now(),
            skew: .zero
        )
        for _ in 0..<5 { await taker.take(observation) }
        #expect(await spool.waitingCount == 3, "the next ones are not due")
        let bytes = folder.files.flatMap(\.bytes)
        let entries = SpoolFrame.decode(bytes).entries
        let thumbnails = try entries.map { decoded in
            try Groot_V1_Thumbnail(serializedBytes: decoded.entry.payload)
        }
        #expect(thumbnails.map(\.camera) == ["head", "left", "tiny"])
        #expect(thumbnails.map(\.sequence) == [1, 2, 3])
        let pictures = try thumbnails.map { try JPEGDecoder().decode([UInt8]($0.jpeg).span) }
        #expect(pictures.map(\.width) == [192, 192, 64] && pictures.map(\.height) == [144, 144, 32])
        #expect(thumbnails.allSatisfy { $0.jpeg.count < 8 << 10 })
        #expect(pictures[0].pixels[0] < 60 && pictures[1].pixels[0] > 200)
    }
}
