import Foundation
import GrootTesting
import Testing

@testable import Worker

/// Safetensors files with any header.
enum SafetensorsSample {
    /// - Parameter tensors: name, dtype, shape and offsets as they are written.
    static func file(_ tensors: [(String, String, String, String)], bytes: Int = 0) -> Data {
        let entries = tensors.map { #""\#($0.0)": {"dtype": "\#($0.1)", "shape": \#($0.2), "data_offsets": \#($0.3)}"# }
        return file(
            header: "{\(([#""__metadata__": {"format": "pt"}"#] + entries).joined(separator: ", "))}",
            bytes: bytes
        )
    }

    static func file(header: String, claims: UInt64? = nil, bytes: Int = 0) -> Data {
        let length = claims ?? UInt64(header.utf8.count)
        return Data((0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }) + Data(header.utf8)
            + Data(count: bytes)
    }
}

@Suite
struct SafetensorsFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-safetensors") }

    private func problem(_ data: Data) throws -> String? {
        let url = folder.url.appending(path: "model.safetensors")
        try data.write(to: url)
        do throws(WorkerError) {
            try SafetensorsFile.check(url)
            return nil
        } catch {
            #expect(error.code == .badCheckpoint)
            return error.message
        }
    }

    @Test
    func `a file that holds what it says is whole`() throws {
        #expect(try problem(SafetensorsSample.file([])) == nil)
        #expect(try problem(SafetensorsSample.file(header: "{}")) == nil)
        let tensors = [
            ("b", "F32", "[2, 3]", "[8, 32]"), ("a", "BF16", "[4]", "[0, 8]"), ("c", "I64", "[0]", "[32, 32]"),
        ]
        #expect(try problem(SafetensorsSample.file(tensors, bytes: 32)) == nil)
        #expect(try problem(SafetensorsSample.file([("scalar", "F64", "[]", "[0, 8]")], bytes: 8)) == nil)
        // A type of the future: what its offsets say is believed.
        #expect(try problem(SafetensorsSample.file([("x", "F4", "[16]", "[0, 8]")], bytes: 8)) == nil)
    }

    @Test(arguments: [
        ("F32", "[2]", "[-8, 0]"), ("F32", "[2]", "[0, -8]"), ("F32", "[2]", "[8, 0]"),
        ("F32", "[2]", "[0, 9223372036854775807]"),
        ("F32", "[2]", "[-9223372036854775808, 9223372036854775807]"), ("F32", "[2]", "[0, 16]"), ("F32", "[2]", "[0]"),
        ("F32", "[2]", "[]"), ("F32", "[2]", "[0, 4, 8]"), ("F32", "[4294967296]", "[0, 8]"),
        ("F32", "[4294967296, 4294967296]", "[0, 8]"), ("F32", "[600000, 600000]", "[0, 8]"), ("F32", "[-2]", "[0, 8]"),
        ("F32", "[-1, -2]", "[0, 8]"), ("F32", "[3]", "[0, 8]"), ("F32", "[9223372036854775807]", "[0, 8]"),
        ("F32", "[1e300]", "[0, 8]"), ("F32", "[2]", "[0.5, 8]"), ("F32", "null", "[0, 8]"), ("X9", "[100]", "[0, 8]"),
        ("F32", "[2]", #"["0", "8"]"#), ("F32", "[18446744073709551616]", "[0, 8]"), ("F32", "[1]", "[4, 8]"),
    ])
    func `a tensor that claims what is not there is refused`(dtype: String, shape: String, offsets: String) throws {
        let message = try problem(SafetensorsSample.file([("t", dtype, shape, offsets)], bytes: 8))
        #expect(message?.contains("model.safetensors is damaged") == true, "\(message ?? "it was believed")")
    }

    @Test
    func `overlaps, gaps and rests are refused`() throws {
        let first = ("a", "U8", "[4]", "[0, 4]")
        for second in [("b", "U8", "[4]", "[2, 6]"), ("b", "U8", "[4]", "[5, 9]"), ("b", "U8", "[4]", "[0, 4]")] {
            #expect(try problem(SafetensorsSample.file([first, second], bytes: 9))?.contains("begins at") == true)
        }
        #expect(try problem(SafetensorsSample.file([first], bytes: 5))?.contains("end after 4 bytes") == true)
    }

    @Test
    func `a header that is none, or too large, is refused`() throws {
        for header in [
            "", "{", "[]", "3", #"{"a": 1}"#, #"{"a": {}}"#, "\u{0}", String(repeating: "[", count: 100_000),
        ] {
            #expect(try problem(SafetensorsSample.file(header: header)) != nil, "\(header.prefix(20))")
        }
        for claim in [UInt64.max, 1 << 63, 1 << 32, 3] {
            #expect(try problem(SafetensorsSample.file(header: "{}", claims: claim)) != nil, "\(claim)")
        }
        #expect(try problem(Data([1, 2, 3]))?.contains("too few for a header") == true)
        let wide = SafetensorsSample.file(header: "{" + String(repeating: " ", count: 9 << 20) + "}")
        #expect(try problem(wide)?.contains("at most 8388608 are read") == true)
    }
}
