import Glibc

/// An ordered list of header fields, all bytes in one array, so that a block costs two allocations.
///
/// Names are lower case as HTTP/2 demands. Values are bytes: what arrives is what is passed on.
package struct HTTP2Headers: Sendable {
    struct Entry: Sendable {
        var offset: Int
        var nameLength: Int
        var valueLength: Int
    }

    private(set) var bytes: [UInt8] = []
    private(set) var entries: [Entry] = []

    package init() {}

    package init(_ fields: [(String, String)]) {
        for (name, value) in fields { add(name, value) }
    }

    package var count: Int { entries.count }

    /// Size as RFC 9113 counts it: 32 bytes a field on top of name and value.
    package var listSize: Int { bytes.count + 32 * entries.count }

    /// Adds a field; the caller writes the name in lower case.
    package mutating func add(_ name: String, _ value: String) {
        let offset = bytes.count
        bytes.append(contentsOf: name.utf8)
        let nameLength = bytes.count - offset
        bytes.append(contentsOf: value.utf8)
        entries.append(
            Entry(offset: offset, nameLength: nameLength, valueLength: bytes.count - offset - nameLength)
        )
    }

    mutating func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        entries.append(Entry(offset: bytes.count, nameLength: name.count, valueLength: value.count))
        unsafe bytes.append(contentsOf: name)
        unsafe bytes.append(contentsOf: value)
    }

    mutating func removeAll() {
        bytes = []
        entries = []
    }

    /// Room for an ordinary block, so that it grows once instead of five times.
    mutating func reserve() {
        bytes.reserveCapacity(512)
        entries.reserveCapacity(16)
    }

    package func name(at index: Int) -> String {
        let entry = entries[index]
        return String(decoding: bytes[entry.offset..<entry.offset + entry.nameLength], as: UTF8.self)
    }

    package func value(at index: Int) -> String {
        let entry = entries[index]
        let start = entry.offset + entry.nameLength
        return String(decoding: bytes[start..<start + entry.valueLength], as: UTF8.self)
    }

    /// Value of the first field with this name.
    package subscript(name: String) -> String? {
        index(of: name).map { value(at: $0) }
    }

    package func contains(_ name: String) -> Bool { index(of: name) != nil }

    /// All fields but those with one of these names, in order.
    package func removing(_ names: [String]) -> HTTP2Headers {
        var kept = HTTP2Headers()
        kept.bytes.reserveCapacity(bytes.count + 96)
        kept.entries.reserveCapacity(entries.count + 3)
        var isKept = Array(repeating: true, count: entries.count)
        for name in names {
            var start = 0
            while let index = index(of: name, from: start) {
                isKept[index] = false
                start = index + 1
            }
        }
        for index in entries.indices where isKept[index] {
            var entry = entries[index]
            let field = entry.offset..<entry.offset + entry.nameLength + entry.valueLength
            entry.offset = kept.bytes.count
            kept.bytes.append(contentsOf: bytes[field])
            kept.entries.append(entry)
        }
        return kept
    }

    /// The fields as text, for tests and logs.
    package var fields: [(name: String, value: String)] {
        entries.indices.map { (name(at: $0), value(at: $0)) }
    }

    private func index(of name: String, from start: Int = 0) -> Int? {
        var name = name
        return name.withUTF8 { wanted in
            unsafe bytes.withUnsafeBufferPointer { bytes in
                guard let first = bytes.baseAddress, let wantedFirst = wanted.baseAddress else { return nil }
                return entries[start...].firstIndex { entry in
                    unsafe entry.nameLength == wanted.count
                        && memcmp(first + entry.offset, wantedFirst, wanted.count) == 0
                }
            }
        }
    }
}
