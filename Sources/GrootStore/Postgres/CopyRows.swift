package import Foundation

/// Rows in PostgreSQL's binary COPY format, written field by field straight from what arrived.
///
/// One growing buffer and no object per row or field. Fields are appended in the order of `table.columns`; robot and
/// boot, which all rows share, are encoded once.
package struct CopyRows: Sendable {
    package let table: TelemetryTable
    /// Sequence of each row, in the order of appending.
    package private(set) var sequences: [Int64] = []
    /// Where each row starts in `bytes`.
    private var starts: [Int] = []
    private var bytes: [UInt8] = []
    private let rowHead: [UInt8]
    private var lastUUID = (text: "", value: UUID().uuid)

    /// Room for rows of this size is taken at once.
    private static let typicalRowBytes = 448
    /// Signature, flags, length of the header's extension.
    private static let header: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [0, 0, 0, 0] + [0, 0, 0, 0]
    private static let trailer: [UInt8] = [0xFF, 0xFF]
    /// 2000-01-01 in microseconds since 1970: where PostgreSQL counts from.
    private static let epoch: Int64 = 946_684_800_000_000

    package init(table: TelemetryTable, robot: String, boot: String, expectedRows: Int) {
        self.table = table
        var head: [UInt8] = []
        Self.put(Int16(table.columns.count), into: &head)
        for text in [robot, boot] {
            Self.put(Int32(text.utf8.count), into: &head)
            head.append(contentsOf: text.utf8)
        }
        rowHead = head
        guard expectedRows > 0 else { return }
        bytes.reserveCapacity(expectedRows * Self.typicalRowBytes)
        starts.reserveCapacity(expectedRows)
        sequences.reserveCapacity(expectedRows)
    }

    package var count: Int { sequences.count }
    /// What will be written, without what the stream adds around it.
    package var byteCount: Int { bytes.count }

    /// Starts the next row; its remaining fields follow.
    package mutating func beginRow(sequence: Int64) {
        starts.append(bytes.count)
        sequences.append(sequence)
        bytes.append(contentsOf: rowHead)
        append(bigint: sequence)
    }

    /// Takes back the last row, complete or not.
    package mutating func dropRow() {
        guard let start = starts.popLast() else { return }
        sequences.removeLast()
        bytes.removeLast(bytes.count - start)
    }

    package mutating func append(bigint value: Int64) {
        Self.put(Int32(8), into: &bytes)
        Self.put(value, into: &bytes)
    }

    package mutating func append(integer value: Int32) {
        Self.put(Int32(4), into: &bytes)
        Self.put(value, into: &bytes)
    }

    package mutating func append(bool value: Bool) {
        Self.put(Int32(1), into: &bytes)
        bytes.append(value ? 1 : 0)
    }

    /// UTF-8 without U+0000, which PostgreSQL cannot store; the caller has checked that.
    package mutating func append(text value: String) {
        Self.put(Int32(value.utf8.count), into: &bytes)
        bytes.append(contentsOf: value.utf8)
    }

    package mutating func append(bytes value: Data) {
        Self.put(Int32(value.count), into: &bytes)
        bytes.append(contentsOf: value)
    }

    /// Wall clock in nanoseconds since 1970, kept to the microsecond.
    package mutating func append(unixNanoseconds value: Int64) {
        append(bigint: value / 1000 - Self.epoch)
    }

    /// - Returns: false, with nothing appended, when `value` is neither empty (NULL) nor a UUID.
    package mutating func append(uuid value: String) -> Bool {
        guard !value.isEmpty else {
            Self.put(Int32(-1), into: &bytes)
            return true
        }
        // The records of one report mostly belong to one episode.
        if value != lastUUID.text {
            guard let parsed = UUID(uuidString: value) else { return false }
            lastUUID = (value, parsed.uuid)
        }
        Self.put(Int32(16), into: &bytes)
        unsafe withUnsafeBytes(of: lastUUID.value) { unsafe bytes.append(contentsOf: $0) }
        return true
    }

    /// The stream for `COPY … FROM STDIN (FORMAT binary)`, without rows whose sequences are `known`; nil when none is left.
    func stream(leavingOut known: SequenceRanges) -> (data: [UInt8], rows: Int)? {
        var data = Self.header
        data.reserveCapacity(bytes.count + Self.header.count + Self.trailer.count)
        var rows = 0
        if let lowest = sequences.min(), let highest = sequences.max(), !known.intersects(lowest...highest) {
            data.append(contentsOf: bytes)
            rows = count
        } else {
            for index in sequences.indices where !known.contains(sequences[index]) {
                let end = index + 1 < starts.count ? starts[index + 1] : bytes.count
                data.append(contentsOf: bytes[starts[index]..<end])
                rows += 1
            }
        }
        guard rows > 0 else { return nil }
        data.append(contentsOf: Self.trailer)
        return (data, rows)
    }

    private static func put<Value: FixedWidthInteger>(_ value: Value, into bytes: inout [UInt8]) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }
}
