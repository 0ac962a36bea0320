import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// Encoded protobuf, field by field.
enum ProtobufSample {
    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    static func number(_ field: UInt64, _ value: Int) -> [UInt8] {
        varint(field << 3) + varint(UInt64(bitPattern: Int64(value)))
    }

    static func bytes(_ field: UInt64, _ value: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(value.count)) + value
    }

    static func text(_ field: UInt64, _ value: String) -> [UInt8] { bytes(field, Array(value.utf8)) }

    /// A model of one initializer.
    static func model(tensor: [UInt8]) -> [UInt8] { bytes(7, bytes(5, tensor)) }

    /// An initializer in a file of its own.
    static func external(_ entries: [String: String], dims: [Int] = [4]) -> [UInt8] {
        dims.flatMap { number(1, $0) } + number(2, 1) + text(8, "w")
            + entries.flatMap { bytes(13, text(1, $0.key) + text(2, $0.value)) } + number(14, 1)
    }
}

@Suite
struct OnnxFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-onnx") }

    private func file(_ model: [UInt8]) throws -> OnnxFile {
        try Data(model).write(to: folder.url.appending(path: "model.onnx"))
        return try OnnxFile(directory: folder.url)
    }

    private func refused(_ model: [UInt8], _ says: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let error = #expect(throws: WorkerError.self, sourceLocation: sourceLocation) { try file(model) }
        #expect(error?.code == .badCheckpoint, sourceLocation: sourceLocation)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }

    @Test
    func `files beside a model are found wherever a tensor can be`() throws {
        for name in ["a", "b", "c", "sub/d"] {
            let url = folder.url.appending(path: name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(count: 16).write(to: url)
        }
        typealias P = ProtobufSample
        let inAttribute = P.bytes(1, P.bytes(5, P.bytes(5, P.external(["location": "b"]))))
        let inSubgraph = P.bytes(
            1,
            P.bytes(5, P.bytes(6, P.bytes(5, P.external(["location": "c", "offset": "8"], dims: [2]))))
        )
        let inFunction = P.bytes(25, P.bytes(7, P.bytes(5, P.bytes(5, P.external(["location": "sub/d"])))))
        let graph = P.bytes(7, P.bytes(5, P.external(["location": "a", "length": "16"])) + inAttribute + inSubgraph)
        let found = try file(graph + inFunction)
        #expect(found.files == ["model.onnx", "a", "b", "c", "sub/d"])
        #expect(found.weightBytes == graph.count + inFunction.count + 4 * 16)
        #expect(
            try file(P.model(tensor: P.number(1, 4) + P.bytes(9, [UInt8](repeating: 0, count: 16)))).files.count == 1
        )
    }

    @Test(arguments: [
        ("/etc/passwd", "is no file beside the model"), ("../weights", "is no file beside the model"),
        ("a/../../weights", "is no file beside the model"), ("", "is no file beside the model"),
        ("a//b", "is no file beside the model"), ("*/_ORT_MEM_ADDR_/*", "cannot be read"),
        ("missing", "cannot be read"),
        (".", "is no regular file"), ("w\u{0}x", "is no file beside the model"),
    ])
    func `a file elsewhere is not read`(location: String, says: String) {
        refused(ProtobufSample.model(tensor: ProtobufSample.external(["location": location])), says)
    }

    @Test(arguments: [
        ["offset": "-1"], ["offset": "17"], ["length": "17"],
        ["offset": "9223372036854775807", "length": "9223372036854775807"],
        ["length": "-16"], ["offset": "x"], ["length": "99999999999999999999"], ["offset": "8", "length": "9"],
    ])
    func `what lies outside its file is damaged`(entries: [String: String]) throws {
        try Data(count: 16).write(to: folder.url.appending(path: "w"))
        refused(
            ProtobufSample.model(tensor: ProtobufSample.external(entries.merging(["location": "w"]) { $1 })),
            "tensor w"
        )
    }

    @Test(arguments: [
        [600_000, 600_000], [1 << 32], [-1], [-1, -4], [.max, .max], [.min], [1 << 31, 1 << 31, 1 << 31],
    ])
    func `a tensor that claims more than it holds is refused`(dims: [Int]) throws {
        try Data(count: 16).write(to: folder.url.appending(path: "w"))
        let inline = dims.flatMap { ProtobufSample.number(1, $0) } + ProtobufSample.bytes(9, [1, 2, 3, 4])
        refused(ProtobufSample.model(tensor: inline), "claims the shape")
        let packed = ProtobufSample.bytes(1, dims.flatMap { ProtobufSample.varint(UInt64(bitPattern: Int64($0))) })
        refused(ProtobufSample.model(tensor: packed), "claims the shape")
        refused(
            ProtobufSample.model(tensor: ProtobufSample.external(["location": "w"], dims: dims)),
            "claims the shape"
        )
        let sparse = dims.flatMap { ProtobufSample.number(3, $0) }
        refused(ProtobufSample.bytes(7, ProtobufSample.bytes(15, sparse)), "claims the shape")
    }

    @Test
    func `what is no model is refused, however deep`() {
        refused(Array("this is no model".utf8), "Protobuf parsing failed")
        refused([0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "Protobuf parsing failed")
        var nested: [UInt8] = []
        for _ in 0..<60 { nested = ProtobufSample.bytes(1, ProtobufSample.bytes(5, ProtobufSample.bytes(6, nested))) }
        refused(ProtobufSample.bytes(7, nested), "too deep")
        refused(ProtobufSample.model(tensor: (0..<65).flatMap { _ in ProtobufSample.number(1, 1) }), "64 dimensions")
    }

    @Test(.enabled(if: TestRuntime.canRun, TestRuntime.reason))
    func `weights beside the model are part of the digest and of the memory`() async throws {
        for name in ["config.json", "model.onnx", "weights.bin"] {
            try FileManager.default.copyItem(
                at: URL(filePath: TestRuntime.fixture("external/\(name)")),
                to: folder.url.appending(path: name)
            )
        }
        let whole = try await TestRuntime.load(directory: folder.url.path)
        let weights = folder.url.appending(path: "weights.bin")
        var bytes = try Data(contentsOf: weights)
        let model = try Data(contentsOf: folder.url.appending(path: "model.onnx")).count
        #expect(whole.memoryBytes > 2 * (model + bytes.count))
        bytes[0] ^= 1
        try bytes.write(to: weights)
        let other = try await TestRuntime.load(directory: folder.url.path)
        #expect(whole.description.sha256 != other.description.sha256)
        await whole.close()
        await other.close()
        let options = CheckpointOptions(directory: folder.url.path, library: TestRuntime.library)
        let tight = options.limited(to: model + bytes.count - 1)
        let error = await #expect(throws: WorkerError.self) {
            try await OnnxPolicy.load(tight, logger: .init(label: "t"))
        }
        #expect(error?.code == .overBudget, "\(error?.message ?? "")")
        // Torn after it was copied.
        try bytes.prefix(100).write(to: weights)
        let torn = await #expect(throws: WorkerError.self) { try await TestRuntime.load(directory: folder.url.path) }
        #expect(torn?.message.contains("claims") == true, "\(torn?.message ?? "")")
    }
}
