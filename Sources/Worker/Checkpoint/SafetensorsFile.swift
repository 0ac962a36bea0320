import Foundation

/// The frame of a safetensors file: that its header describes exactly the bytes that follow, so that a broken or forged
/// file is found before Python is started and before memory is taken for what it claims.
enum SafetensorsFile {
    /// A header of a thousand tensors has 150 kB; the format itself allows 100 MB.
    static let maximumHeader = 8 << 20

    /// One tensor of the header.
    private struct Tensor: Decodable {
        var dtype: String
        var shape: [Int]
        var offsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype
            case shape
            case offsets = "data_offsets"
        }
    }

    /// The header, whose one special key holds no tensor.
    private struct Header: Decodable {
        struct Key: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }

            init?(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        var tensors: [(name: String, tensor: Tensor)] = []

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            for key in container.allKeys where key.stringValue != "__metadata__" {
                tensors.append((key.stringValue, try container.decode(Tensor.self, forKey: key)))
            }
        }
    }

    /// Bits of one element; nil for a type that is checked by its offsets only.
    private static let bits = [
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
        "BF16": 16,
        "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
    ]

    /// - Throws: `badCheckpoint` that says where file and header contradict each other.
    static func check(_ url: URL) throws(WorkerError) {
        let file = try CheckpointFile(url)
        func failed(_ what: String) -> WorkerError {
            WorkerError(.badCheckpoint, "\(url.path) is damaged: \(what). Copy or download it again.")
        }
        guard file.bytes >= 8 else { throw failed("it has \(file.bytes) bytes, too few for a header") }
        let length = try file.read(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(file.bytes - 8) else {
            throw failed("its header claims \(length) bytes of the file's \(file.bytes)")
        }
        guard length <= UInt64(maximumHeader) else {
            throw failed("its header has \(length) bytes, at most \(maximumHeader) are read")
        }
        let data = Data(try file.read(at: 8, count: Int(length)))
        try CheckpointJSON.checkDepth(data, of: url.path)
        let header: Header
        do {
            header = try JSONDecoder().decode(Header.self, from: data)
        } catch {
            throw failed("its header is no JSON of dtype, shape and data_offsets for each tensor")
        }
        let room = file.bytes - 8 - Int(length)
        let problem = problem(of: header.tensors, room: room)
        if let problem { throw failed(problem) }
    }

    /// Tensors lie one behind the other, without gaps, and end where the file ends.
    private static func problem(of tensors: [(name: String, tensor: Tensor)], room: Int) -> String? {
        for (name, tensor) in tensors {
            guard tensor.offsets.count == 2, tensor.offsets[0] >= 0, tensor.offsets[1] >= tensor.offsets[0],
                tensor.offsets[1] <= room
            else { return "tensor \(name) claims the bytes \(tensor.offsets) of \(room)" }
            let held = tensor.offsets[1] - tensor.offsets[0]
            guard let elements = CheckedSize.product(of: tensor.shape) else {
                return "tensor \(name) has the shape \(tensor.shape)"
            }
            if let bits = bits[tensor.dtype] {
                guard CheckedSize.product(elements, bits / 8) == held else {
                    return "tensor \(name) of \(tensor.dtype) \(tensor.shape) holds \(held) bytes"
                }
            } else if elements > 2 * held {
                return "tensor \(name) of \(tensor.dtype) \(tensor.shape) holds \(held) bytes"
            }
        }
        var end = 0
        for (name, tensor) in tensors.sorted(by: { $0.tensor.offsets.lexicographicallyPrecedes($1.tensor.offsets) }) {
            guard tensor.offsets[0] == end else {
                return "tensor \(name) begins at \(tensor.offsets[0]), not at \(end)"
            }
            end = tensor.offsets[1]
        }
        return end == room ? nil : "its tensors end after \(end) bytes, the file has \(room) for them"
    }
}
