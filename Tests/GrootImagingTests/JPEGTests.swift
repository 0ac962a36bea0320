import GrootCore
import GrootImaging
import Testing

@Suite
struct JPEGTests {
    /// A smooth picture, so that the codec's loss is small and known.
    private static let picture: CameraFrame? = {
        var pixels: [UInt8] = []
        for row in 0..<48 {
            for column in 0..<64 {
                pixels += [UInt8(column * 4), UInt8(row * 5), UInt8(255 - column * 2 - row * 2)]
            }
        }
        return CameraFrame(width: 64, height: 48, pixels: pixels)
    }()

    @Test(arguments: [JPEGEncoder.Subsampling.none, .half])
    func `a picture survives, red first`(subsampling: JPEGEncoder.Subsampling) throws {
        let picture = try #require(Self.picture)
        let encoder = JPEGEncoder(quality: 95, subsampling: subsampling)
        let file = try encoder.encode(picture)
        #expect(file.prefix(2) == [0xFF, 0xD8])
        #expect(file.count < picture.pixels.count / 3)
        let decoder = JPEGDecoder()
        let header = try decoder.header(of: file.span)
        #expect(header.width == 64 && header.height == 48)
        let decoded = try decoder.decode(file.span)
        #expect(decoded.width == 64 && decoded.height == 48)
        let worst = zip(decoded.pixels, picture.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 255
        #expect(worst <= 12)
    }

    @Test
    func `one encoder writes frames of any size, each complete`() throws {
        let picture = try #require(Self.picture)
        let encoder = JPEGEncoder()
        let decoder = JPEGDecoder()
        for size in [8, 640, 16, 224, 640] {
            let frame = picture.resized(width: size, height: size)
            let file = try encoder.encode(frame)
            #expect(try encoder.encode(frame) == file)
            #expect(try decoder.decode(file.span).width == size)
        }
    }

    @Test
    func `a file cut anywhere is an error, never half a picture`() throws {
        let file = try JPEGEncoder(quality: 90).encode(try #require(Self.picture))
        let decoder = JPEGDecoder()
        for length in stride(from: 0, to: file.count - 2, by: 7) {
            let error = #expect(throws: PictureError.self) { try decoder.decode(Array(file.prefix(length)).span) }
            #expect(error?.code == .damaged || error?.code == .notJPEG)
            #expect(error?.message.contains("\(length) bytes") == true)
        }
        // The decoder is as good as new afterwards.
        #expect(try decoder.decode(file.span).height == 48)
    }

    @Test(arguments: [[], [0xFF], Array("no picture at all".utf8), Array(repeating: 0xD8, count: 4096)] as [[UInt8]])
    func `other bytes are refused`(bytes: [UInt8]) {
        let error = #expect(throws: PictureError.self) { try JPEGDecoder().decode(bytes.span) }
        #expect(error?.code == .notJPEG)
    }

    @Test
    func `random damage never crashes and never goes unnoticed as another size`() throws {
        let file = try JPEGEncoder(quality: 80).encode(try #require(Self.picture))
        let decoder = JPEGDecoder()
        var state: UInt64 = 7
        for _ in 0..<500 {
            var damaged = file
            for _ in 0..<4 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                damaged[Int(state >> 33) % damaged.count] = UInt8(truncatingIfNeeded: state >> 25)
            }
            do throws(PictureError) {
                let frame = try decoder.decode(damaged.span, maximumPixels: 1 << 20)
                #expect(frame.pixels.count == frame.width * frame.height * 3)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    @Test
    func `a picture above the limit is refused by its header`() throws {
        let file = try JPEGEncoder().encode(try #require(Self.picture))
        let error = #expect(throws: PictureError.self) { try JPEGDecoder().decode(file.span, maximumPixels: 3071) }
        #expect(error?.code == .tooLarge)
        #expect(error?.message.contains("64x48") == true)
    }

    @Test
    func `a picture of another size than was announced is refused before it is decoded`() throws {
        let file = try JPEGEncoder().encode(try #require(Self.picture))
        // Cut behind its header: whoever decoded it would say that it is damaged.
        let cut = Array(file.prefix(650))
        for (width, height) in [(48, 64), (64, 47), (1, 3072), (.max, .max), (0, 0), (-64, -48)] {
            let error = #expect(throws: PictureError.self) {
                try JPEGDecoder().decode(cut.span, expecting: .init(width: width, height: height))
            }
            #expect(error?.code == .otherSize, "\(error?.message ?? "")")
        }
        #expect(try JPEGDecoder().decode(file.span, expecting: .init(width: 64, height: 48)).width == 64)
    }
}
