import Foundation

/// Lays messages out as an MCAP file (profile `ros1`, uncompressed chunks with indexes, summary).
///
/// Pure: bytes out, no file. The caller appends what each method returns, in order. Times are nanoseconds since
/// 1970.
package struct MCAPWriter: Sendable {
    package static let magic: [UInt8] = [0x89, 0x4D, 0x43, 0x41, 0x50, 0x30, 0x0D, 0x0A]
    /// A chunk is closed at this size; a crash loses at most one.
    package static let chunkBytes = 4 << 20

    enum Opcode: UInt8 {
        case header = 1
        case footer = 2
        case schema = 3
        case channel = 4
        case message = 5
        case chunk = 6
        case messageIndex = 7
        case chunkIndex = 8
        case statistics = 11
        case dataEnd = 15
    }

    private struct Channel {
        var id: UInt16
        var record: [UInt8]
        var schema: [UInt8]
        var count: UInt64 = 0
        var entries: [(time: UInt64, offset: UInt64)] = []
    }

    private var channels: [String: Channel] = [:]
    private var order: [String] = []
    private var offset: UInt64 = 0
    private var chunk: [UInt8] = []
    private var chunkStart: UInt64 = .max
    private var chunkEnd: UInt64 = 0
    private var chunkIndexes: [[UInt8]] = []
    private var firstTime: UInt64 = .max
    private var lastTime: UInt64 = 0

    package init() {}

    /// Magic and header.
    package mutating func begin() -> [UInt8] {
        var body: [UInt8] = []
        body.put("ros1")
        body.put("groot-agent")
        return emit(Self.magic + Self.record(.header, body))
    }

    /// One message; returns a chunk's bytes whenever one is full.
    ///
    /// The schema of a topic is taken from its first message.
    package mutating func message(
        topic: String,
        type: String,
        definition: String,
        time: UInt64,
        body: some Sequence<UInt8>
    ) -> [UInt8] {
        if channels[topic] == nil { open(topic, type, definition) }
        guard var channel = channels[topic] else { return [] }
        channel.entries.append((time, UInt64(chunk.count)))
        channel.count += 1
        var content: [UInt8] = []
        content.put(channel.id)
        content.put(UInt32(truncatingIfNeeded: channel.count))
        content.put(time)
        content.put(time)
        content.append(contentsOf: body)
        chunk += Self.record(.message, content)
        channels[topic] = channel
        chunkStart = min(chunkStart, time)
        chunkEnd = max(chunkEnd, time)
        return chunk.count >= Self.chunkBytes ? closeChunk() : []
    }

    /// The last chunk, the summary and the closing magic.
    package mutating func end() -> [UInt8] {
        var bytes = closeChunk()
        bytes += emit(Self.record(.dataEnd, [0, 0, 0, 0]))
        let summaryStart = offset
        var summary: [UInt8] = []
        for topic in order { summary += channels[topic]?.schema ?? [] }
        for topic in order { summary += channels[topic]?.record ?? [] }
        for index in chunkIndexes { summary += Self.record(.chunkIndex, index) }
        summary += Self.record(.statistics, statistics)
        var footer: [UInt8] = []
        footer.put(summaryStart)
        footer.put(UInt64(0))
        footer.put(UInt32(0))
        return bytes + emit(summary + Self.record(.footer, footer) + Self.magic)
    }

    private var statistics: [UInt8] {
        var body: [UInt8] = []
        body.put(channels.values.reduce(0) { $0 + $1.count })
        body.put(UInt16(channels.count))
        body.put(UInt32(channels.count))
        body.put(UInt32(0))
        body.put(UInt32(0))
        body.put(UInt32(chunkIndexes.count))
        body.put(firstTime == .max ? 0 : firstTime)
        body.put(lastTime)
        var counts: [UInt8] = []
        for topic in order {
            guard let channel = channels[topic] else { continue }
            counts.put(channel.id)
            counts.put(channel.count)
        }
        body.put(UInt32(counts.count))
        return body + counts
    }

    private mutating func open(_ topic: String, _ type: String, _ definition: String) {
        let id = UInt16(order.count + 1)
        var schema: [UInt8] = []
        schema.put(id)
        schema.put(type)
        schema.put("ros1msg")
        schema.put(definition)
        var channel: [UInt8] = []
        channel.put(id)
        channel.put(id)
        channel.put(topic)
        channel.put("ros1")
        channel.put(UInt32(0))
        let entry = Channel(
            id: id,
            record: Self.record(.channel, channel),
            schema: Self.record(.schema, schema)
        )
        chunk += entry.schema + entry.record
        channels[topic] = entry
        order.append(topic)
    }

    private mutating func closeChunk() -> [UInt8] {
        guard chunkStart != .max else { return [] }
        defer {
            firstTime = min(firstTime, chunkStart)
            lastTime = max(lastTime, chunkEnd)
            chunk = []
            chunkStart = .max
            chunkEnd = 0
        }
        var body: [UInt8] = []
        body.put(chunkStart)
        body.put(chunkEnd)
        body.put(UInt64(chunk.count))
        body.put(UInt32(0))
        body.put("")
        body.put(UInt64(chunk.count))
        let start = offset
        var bytes = emit(Self.record(.chunk, body + chunk))
        let length = offset - start
        var offsets: [UInt8] = []
        let indexStart = offset
        for topic in order {
            guard var channel = channels[topic], !channel.entries.isEmpty else { continue }
            offsets.put(channel.id)
            offsets.put(offset)
            var entries: [UInt8] = []
            for entry in channel.entries {
                entries.put(entry.time)
                entries.put(entry.offset)
            }
            var index: [UInt8] = []
            index.put(channel.id)
            index.put(UInt32(entries.count))
            bytes += emit(Self.record(.messageIndex, index + entries))
            channel.entries = []
            channels[topic] = channel
        }
        var index: [UInt8] = []
        index.put(chunkStart)
        index.put(chunkEnd)
        index.put(start)
        index.put(length)
        index.put(UInt32(offsets.count))
        index += offsets
        index.put(offset - indexStart)
        index.put("")
        index.put(UInt64(chunk.count))
        index.put(UInt64(chunk.count))
        chunkIndexes.append(index)
        return bytes
    }

    private mutating func emit(_ bytes: [UInt8]) -> [UInt8] {
        offset += UInt64(bytes.count)
        return bytes
    }

    private static func record(_ opcode: Opcode, _ body: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [opcode.rawValue]
        bytes.put(UInt64(body.count))
        return bytes + body
    }
}

extension [UInt8] {
    /// Little-endian.
    fileprivate mutating func put(_ value: some FixedWidthInteger) {
        for byte in 0..<value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
    }

    fileprivate mutating func put(_ text: String) {
        put(UInt32(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}
