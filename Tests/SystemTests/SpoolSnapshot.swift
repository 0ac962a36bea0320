import Foundation

/// What lies in an agent's spool, read by the test's own decoder of the format in docs/telemetry.md.
struct SpoolSnapshot {
    /// Record numbers on disk, by boot.
    private(set) var records: [String: Set<UInt64>] = [:]

    init(directory: URL, robot: String) throws {
        // An agent that never got so far has no spool.
        let files = (try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)) ?? []
        for file in files where file.pathExtension == "spool" {
            let name = file.lastPathComponent.split(separator: ".")
            guard name.count == 5, name[0] == robot, name[2] == "details" else { continue }
            // Committed and deleted while we looked.
            guard let data = try? Data(contentsOf: file) else { continue }
            let bytes = [UInt8](data)
            var offset = 0
            while offset + 21 <= bytes.count {
                guard Array(bytes[offset..<offset + 4]) == [0x47, 0x53, 0xF5, 0x02] else { break }
                let length = Int(Self.integer(bytes[(offset + 4)..<(offset + 8)]))
                guard offset + 12 + length <= bytes.count else { break }
                records[String(name[1]), default: []].insert(Self.integer(bytes[(offset + 13)..<(offset + 21)]))
                offset += 12 + length
            }
        }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
