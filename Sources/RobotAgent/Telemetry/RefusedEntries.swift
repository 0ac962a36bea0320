import Foundation

/// What the control plane refused for good, kept on the robot with the reason: nothing that happened is thrown away because
/// a program did not like how it was said.
///
/// Owned by `SpoolStore`, under its lock. One JSON object a line in files of `fileBytes`; beyond `bytes` the oldest file
/// goes. Whoever repairs the cause can send them again: `message` is the protobuf that was refused.
struct RefusedEntries {
    struct Limits: Sendable {
        var bytes = 16 << 20
        var fileBytes = 1 << 20
    }

    private struct Line: Encodable {
        var refusedAt: String
        var robot: String
        var boot: String
        var kind: String
        var number: UInt64
        var reason: String
        var message: String
    }

    private let storage: any SpoolStorage
    private let robot: String
    private let limits: Limits
    /// Oldest first.
    private var files: [(name: String, bytes: Int)]
    /// The next file's number.
    private var next: UInt64

    /// Takes over what earlier starts kept.
    init(storage: any SpoolStorage, robot: String, limits: Limits = Limits()) throws(SpoolStorageError) {
        self.storage = storage
        self.robot = robot
        self.limits = limits
        let found = try storage.list().compactMap { file in
            Self.number(in: file.name, robot: robot).map { (number: $0, name: file.name, bytes: file.bytes) }
        }
        .sorted { $0.number < $1.number }
        files = found.map { ($0.name, $0.bytes) }
        next = (found.last?.number ?? 0) + 1
    }

    var bytes: Int { files.reduce(0) { $0 + $1.bytes } }

    /// - Throws: when the disk does not take it.
    mutating func keep(_ entry: SpoolEntry, boot: String, reason: String) throws(SpoolStorageError) {
        let line = Line(
            refusedAt: Date().ISO8601Format(),
            robot: robot,
            boot: boot,
            kind: "\(entry.kind)",
            number: entry.number,
            reason: reason,
            message: Data(entry.payload).base64EncodedString()
        )
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and numbers always encode.
        guard let encoded = try? encoder.encode(line) else { return }
        let bytes = [UInt8](encoded) + [UInt8(ascii: "\n")]
        makeRoom(for: bytes.count)
        if let last = files.last, last.bytes + bytes.count <= limits.fileBytes {
            try storage.write(bytes, to: last.name, at: last.bytes)
            files[files.count - 1].bytes += bytes.count
            return
        }
        let name = "\(robot).\(next).\(Self.fileExtension)"
        try storage.write(bytes, to: name, at: 0)
        next += 1
        files.append((name, bytes.count))
    }

    private mutating func makeRoom(for count: Int) {
        while bytes + count > limits.bytes, let oldest = files.first {
            // What cannot be deleted is found again by the next start.
            try? storage.delete(oldest.name)
            files.removeFirst()
        }
    }

    private static let fileExtension = "refused.jsonl"

    private static func number(in name: String, robot: String) -> UInt64? {
        guard name.hasPrefix(robot + "."), name.hasSuffix("." + fileExtension) else { return nil }
        let number = UInt64(name.dropFirst(robot.count + 1).dropLast(fileExtension.count + 1))
        // Nobody wrote so many; a name that says so is not ours.
        return number.flatMap { $0 < 1 << 62 ? $0 : nil }
    }
}
