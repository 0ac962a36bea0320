import Crypto
import GrootCore
import Testing

@Suite
struct ResizeTests {
    @Test(arguments: ResizeGolden.all)
    func `resizing is PyTorch's, bit for bit`(golden: ResizeGolden) throws {
        let (width, height) = (golden.from[0], golden.from[1])
        let frame = try #require(CameraFrame(width: width, height: height, pixels: pixels(width, height)))
        let resized = frame.resized(width: golden.to[0], height: golden.to[1])
        #expect(Array(resized.pixels.prefix(12)) == golden.head)
        let digest = SHA256.hash(data: resized.pixels).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(digest == golden.sha256)
    }

    /// The generator of make_goldens.py.
    private func pixels(_ width: Int, _ height: Int) -> [UInt8] {
        var state = UInt32(width * 31 + height)
        return (0..<width * height * 3).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
    }
}
