import Foundation
import GrootAPI
import GrootCore

/// What `model.onnx` says about the files that its weights lie in, and whether what it claims is there: read before
/// ONNX Runtime opens it.
///
/// Only the frame is walked (graphs, nodes, attributes, tensors); weights are skipped.
struct OnnxFile {
    /// A file beside the model that holds weights.
    struct External: Hashable, Sendable {
        var name: String
        var bytes: Int
    }

    /// Graphs within graphs, as they are counted here: three levels of messages each.
    private static let maximumDepth = 100
    private static let maximumExternals = 4096
    /// Elements of a sparse tensor once it is whole: nothing in the file bounds them.
    private static let maximumSparseElements = 1 << 28

    private enum Message { case model, graph, node, attribute, tensor, sparse, function, training }

    private struct TensorClaim {
        var dims: [Int] = []
        var name = ""
        var isExternal = false
        var entries: [String: String] = [:]
    }

    let bytes: Int
    /// By name.
    private(set) var externals: [External] = []

    private let path: String
    private let directory: URL
    private let window: FileWindow
    private var sizes: [String: Int] = [:]

    /// - Throws: `badCheckpoint` that names the file and what is wrong with it.
    init(directory: URL) throws(WorkerError) {
        let file = try CheckpointFile(directory.appending(path: OnnxGraph.fileName))
        path = file.path
        bytes = file.bytes
        self.directory = directory
        window = FileWindow(file)
        try walk(.model, 0..<bytes, depth: 0)
        externals = sizes.map { External(name: $0.key, bytes: $0.value) }.sorted { $0.name < $1.name }
    }

    /// Files that decide what the model answers, in a fixed order.
    var files: [String] { [OnnxGraph.fileName] + externals.map(\.name) }

    /// Of the model and everything beside it; the largest `Int` when the sum is none.
    var weightBytes: Int { CheckedSize.sum(of: [bytes] + externals.map(\.bytes)) ?? .max }

    private func damaged(_ what: String) -> WorkerError {
        WorkerError(.badCheckpoint, "\(path) cannot be loaded: \(what). Copy, download or export it again.")
    }

    private mutating func walk(_ message: Message, _ range: Range<Int>, depth: Int) throws(WorkerError) {
        guard depth <= Self.maximumDepth else { throw damaged("its graphs lie in each other too deep") }
        if message == .tensor || message == .sparse { return try readTensor(message, range, depth: depth) }
        var cursor = ProtobufCursor(range)
        while !cursor.isAtEnd {
            guard let field = cursor.next(window.byte(at:)) else {
                throw damaged("Protobuf parsing failed at byte \(cursor.offset)")
            }
            if let child = Self.child(of: message, field.number) { try walk(child, field.bytes, depth: depth + 1) }
        }
    }

    /// Field numbers of onnx.proto.
    private static func child(of message: Message, _ field: UInt64) -> Message? {
        switch (message, field) {
        case (.model, 7), (.attribute, 6), (.attribute, 11), (.training, 1), (.training, 2): .graph
        case (.model, 20): .training
        case (.model, 25): .function
        case (.graph, 1), (.function, 7): .node
        case (.graph, 5), (.attribute, 5), (.attribute, 10): .tensor
        case (.graph, 15), (.attribute, 22), (.attribute, 23): .sparse
        case (.node, 5), (.function, 11): .attribute
        default: nil
        }
    }
}

// Tensors.
extension OnnxFile {
    private mutating func readTensor(_ message: Message, _ range: Range<Int>, depth: Int) throws(WorkerError) {
        var claim = TensorClaim()
        var cursor = ProtobufCursor(range)
        while !cursor.isAtEnd {
            guard let field = cursor.next(window.byte(at:)) else {
                throw damaged("Protobuf parsing failed at byte \(cursor.offset)")
            }
            switch (message, field.number) {
            case (.tensor, 1), (.sparse, 3): try readDims(field, into: &claim)
            case (.tensor, 8): claim.name = try text(field)
            case (.tensor, 13): try readEntry(field, into: &claim)
            case (.tensor, 14): claim.isExternal = field.value == 1
            case (.sparse, 1), (.sparse, 2): try walk(.tensor, field.bytes, depth: depth + 1)
            default: break
            }
        }
        let elements = CheckedSize.product(of: claim.dims)
        let held: Int
        if message == .sparse {
            held = Self.maximumSparseElements / 2
        } else if claim.isExternal {
            held = try checkExternal(claim)
        } else {
            held = range.count
        }
        // Two elements of four bits share a byte; nothing is smaller.
        guard let elements, elements / 2 <= held else {
            throw damaged("tensor \(claim.name) claims the shape \(claim.dims.prefix(16)), but holds \(held) bytes")
        }
    }

    private func readDims(_ field: ProtobufCursor.Field, into claim: inout TensorClaim) throws(WorkerError) {
        func add(_ value: UInt64) throws(WorkerError) {
            guard claim.dims.count < 64 else { throw damaged("a tensor has more than 64 dimensions") }
            claim.dims.append(Int(truncatingIfNeeded: value))
        }
        guard !field.bytes.isEmpty else { return try add(field.value) }
        // Packed: as if each number were a field of its own.
        var offset = field.bytes.lowerBound
        while offset < field.bytes.upperBound {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while true {
                guard shift < 70, offset < field.bytes.upperBound, let byte = window.byte(at: offset) else {
                    throw damaged("Protobuf parsing failed at byte \(offset)")
                }
                offset += 1
                value |= UInt64(byte & 0x7F) << shift
                shift += 7
                if byte & 0x80 == 0 { break }
            }
            try add(value)
        }
    }

    private func readEntry(_ field: ProtobufCursor.Field, into claim: inout TensorClaim) throws(WorkerError) {
        var cursor = ProtobufCursor(field.bytes)
        var key = ""
        var value = ""
        while !cursor.isAtEnd {
            guard let part = cursor.next(window.byte(at:)) else {
                throw damaged("Protobuf parsing failed at byte \(cursor.offset)")
            }
            if part.number == 1 { key = try text(part) }
            if part.number == 2 { value = try text(part) }
        }
        guard claim.entries.count < 16 else { throw damaged("a tensor has more than 16 entries about its file") }
        claim.entries[key] = value
    }

    /// - Returns: the bytes that the tensor has in its file.
    private mutating func checkExternal(_ claim: TensorClaim) throws(WorkerError) -> Int {
        let name = claim.entries["location"] ?? ""
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.isEmpty, !parts.contains("..") && !parts.contains(""), !name.utf8.contains(0) else {
            throw damaged("tensor \(claim.name) lies in \"\(name)\", which is no file beside the model")
        }
        let size: Int
        if let known = sizes[name] {
            size = known
        } else {
            guard sizes.count < Self.maximumExternals else {
                throw damaged("its weights lie in more than \(Self.maximumExternals) files")
            }
            size = try CheckpointFile(directory.appending(path: name)).bytes
            sizes[name] = size
        }
        func number(_ key: String, otherwise value: Int) throws(WorkerError) -> Int {
            guard let text = claim.entries[key] else { return value }
            guard let number = Int(text), number >= 0 else {
                throw damaged("tensor \(claim.name) has the \(key) \"\(text)\"")
            }
            return number
        }
        let offset = try number("offset", otherwise: 0)
        let length = try number("length", otherwise: max(0, size - offset))
        guard let end = CheckedSize.sum(of: [offset, length]), end <= size else {
            throw damaged("tensor \(claim.name) claims \(length) bytes from \(offset) of the \(size) in \(name)")
        }
        return length
    }

    private func text(_ field: ProtobufCursor.Field) throws(WorkerError) -> String {
        guard field.bytes.count <= 4096 else { throw damaged("a name has \(field.bytes.count) bytes") }
        return String(decoding: field.bytes.compactMap(window.byte(at:)), as: UTF8.self)
    }
}
