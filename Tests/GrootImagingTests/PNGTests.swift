import GrootCore
import GrootImaging
import GrootTesting
import Testing

@Suite
struct PNGTests {
    private func decode(_ file: [UInt8]) throws(PictureError) -> CameraFrame { try PNGDecoder.decode(file.span) }

    private func header(_ file: [UInt8]) throws(PictureError) -> PNGDecoder.Header {
        try PNGDecoder.header(of: file.span)
    }

    @Test
    func `a picture is read, red first`() throws {
        let header = try header(SamplePNG.colours)
        #expect(header.width == 4 && header.height == 2 && !header.isGrey && !header.isDeep)
        let frame = try decode(SamplePNG.colours)
        #expect(frame.width == 4 && frame.height == 2)
        #expect(Array(frame.pixels.prefix(6)) == [200, 40, 20, 200, 40, 20])
        #expect(Array(frame.pixels.suffix(3)) == [1, 2, 3])
    }

    @Test(arguments: [SamplePNG.grey, SamplePNG.depth, SamplePNG.deepColours])
    func `what has no eight-bit colours is refused by name`(file: [UInt8]) throws {
        let header = try header(file)
        #expect(header.isGrey || header.isDeep)
        #expect(throws: PictureError.self) { try decode(file) }
    }

    @Test
    func `a size that no memory holds is refused before memory is taken`() throws {
        #expect(try header(SamplePNG.huge).width == 60_000)
        let error = #expect(throws: PictureError.self) { try decode(SamplePNG.huge) }
        #expect(error?.code == .tooLarge)
    }

    @Test
    func `every cut and every broken byte is an error or a picture`() {
        let file = SamplePNG.colours
        // The last four bytes are a checksum that nobody asks for.
        for length in 0..<file.count - 16 {
            #expect(throws: PictureError.self) { try decode(Array(file.prefix(length))) }
        }
        for index in file.indices {
            var broken = file
            broken[index] ^= 0xFF
            // The library forgives a wrong checksum of what it can do without.
            guard let frame = try? decode(broken) else { continue }
            #expect(frame.pixels.count == frame.width * frame.height * 3)
        }
    }
}
