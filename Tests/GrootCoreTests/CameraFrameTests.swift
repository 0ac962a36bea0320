import GrootCore
import Testing

struct CameraFrameTests {
    /// Inputs and float outputs of PyTorch's `interpolate(mode="bilinear", align_corners=False)`. On 8-bit images
    /// PyTorch rounds twice (GrootImagingTests holds it to the bit), so that a level may differ from these.
    struct Golden {
        var from: (height: Int, width: Int)
        var to: (height: Int, width: Int)
        var pixels: [UInt8]
        var expected: [Float]
    }

    static let downscale = Golden(
        from: (3, 4),
        to: (2, 3),
        pixels: [
            175, 196, 25, 246, 67, 211, 151, 103, 92, 185, 142, 23, 72, 89, 110, 42, 218, 136, 167, 230, 68, 176, 127,
            135, 172, 0, 75, 55, 250, 6, 19, 188, 44, 191, 69, 56,
        ],
        expected: [
            156.875, 158.5, 70.583, 175.0, 119.75, 139.125, 178.125, 137.667, 56.833, 131.125, 58.875, 76.208, 53.875,
            220.25, 44.25, 165.375, 102.667, 71.458,
        ]
    )

    static let upscale = Golden(
        from: (2, 3),
        to: (4, 5),
        pixels: [152, 183, 181, 112, 251, 189, 192, 34, 56, 201, 206, 38, 4, 238, 137, 87, 227, 195],
        expected: [
            152.0, 183.0, 181.0, 136.0, 210.2, 184.2, 112.0, 251.0, 189.0, 160.0, 120.8, 109.2, 192.0, 34.0, 56.0,
            164.25, 188.75, 145.25, 132.55, 212.35, 157.55, 85.0, 247.75, 176.0, 133.45, 148.45, 124.85, 165.75, 82.25,
            90.75, 188.75, 200.25, 73.75, 125.65, 216.65, 104.25, 31.0, 241.25, 150.0, 80.35, 203.75, 156.15, 113.25,
            178.75, 160.25, 201.0, 206.0, 38.0, 122.2, 218.8, 77.6, 4.0, 238.0, 137.0, 53.8, 231.4, 171.8, 87.0, 227.0,
            195.0,
        ]
    )

    @Test
    func resizesAsPyTorchDoes() throws {
        for golden in [Self.downscale, Self.upscale] {
            let frame = try #require(
                CameraFrame(width: golden.from.width, height: golden.from.height, pixels: golden.pixels)
            )
            let resized = frame.resized(width: golden.to.width, height: golden.to.height)
            #expect(resized.width == golden.to.width && resized.height == golden.to.height)
            #expect(resized.pixels.count == golden.expected.count)
            for (level, expected) in zip(resized.pixels, golden.expected) {
                #expect(abs(Float(level) - expected) <= 1)
            }
        }
    }

    @Test
    func theSameSizeIsTheSameImage() throws {
        let frame = try #require(CameraFrame(width: 3, height: 2, pixels: Self.upscale.pixels))
        #expect(frame.resized(width: 3, height: 2) == frame)
    }

    @Test
    func halfATurnTwiceIsTheSameImage() throws {
        let frame = try #require(CameraFrame(width: 3, height: 2, pixels: Self.upscale.pixels))
        #expect(frame.rotated180() != frame)
        #expect(Array(frame.rotated180().pixels.prefix(3)) == Array(frame.pixels.suffix(3)))
        #expect(frame.rotated180().rotated180() == frame)
    }

    @Test
    func refusesAWrongNumberOfBytes() {
        #expect(CameraFrame(width: 2, height: 2, pixels: Array(repeating: 0, count: 11)) == nil)
        #expect(CameraFrame(width: 0, height: 2, pixels: []) == nil)
        #expect(ActionChunk(names: ["a", "b"], rows: 2, values: [1, 2, 3], period: .milliseconds(100)) == nil)
    }
}
