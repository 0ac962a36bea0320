import DequeModule

/// Which files the spool has, how far each is committed, where the next entry goes, and what goes first when there is
/// no room.
///
/// Pure: it does not read or write; `SpoolStore` does what it says and tells it what happened. Entries leave only after
/// the control plane has committed them. A file is deleted when all of it is committed; what was committed and still lies
/// in a file is sent again after a crash, which the control plane's ledger makes harmless.
package struct SpoolState: Sendable {
    package struct Limits: Sendable {
        /// Bytes of all files (`--spool-limit-mb`); beyond it the oldest thumbnails go, then details, episodes last.
        package var bytes: Int
        /// A file that has grown to this is followed by another one: the unit in which details are given up.
        package var segmentBytes: Int
        /// A committed file of this size is deleted although it could still grow.
        package var retireBytes: Int

        package init(bytes: Int = 256 << 20, segmentBytes: Int = 256 << 10, retireBytes: Int = 64 << 10) {
            self.bytes = bytes
            self.segmentBytes = segmentBytes
            self.retireBytes = retireBytes
        }
    }

    /// What is known of one file.
    package struct Part: Equatable, Sendable {
        package var segment: SpoolSegment
        /// Written without error.
        package var bytes: Int
        package var entries: Int
        /// Committed, as a prefix of the file.
        package var sentBytes = 0
        package var sentEntries = 0
        /// Number that the next entry to be sent must have if none is damaged.
        package var expected: UInt64

        package init(segment: SpoolSegment, bytes: Int, entries: Int) {
            self.segment = segment
            self.bytes = bytes
            self.entries = entries
            self.expected = segment.first
        }

        package var waiting: Int { max(0, entries - sentEntries) }
    }

    package enum Placement: Equatable, Sendable {
        /// Give this file up first, then ask again.
        case drop(SpoolSegment)
        /// Write at this offset; 0 makes the file.
        case write(SpoolSegment, at: Int)
        /// Nothing may go for it.
        case refuse
    }

    private let limits: Limits
    private let robot: String
    private let boot: String
    private var parts: [SpoolLane: Deque<Part>] = [:]
    /// The last part of the lane may grow.
    private var isOpen: [SpoolLane: Bool] = [:]
    private var numbers: [SpoolLane: UInt64] = [:]
    private var totalBytes = 0
    /// What the sender has in its hands.
    private var inFlight: SpoolSegment?

    /// - Parameter left: what earlier boots left, oldest first.
    package init(robot: String, boot: String, left: [Part] = [], limits: Limits = Limits()) {
        self.limits = limits
        self.robot = robot
        self.boot = boot
        for part in left {
            parts[part.segment.lane, default: []].append(part)
            totalBytes += part.bytes
        }
    }

    package var bytes: Int { totalBytes }
    package var waitingCount: Int { parts.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.waiting } } }
    package func waitingCount(in lane: SpoolLane) -> Int { parts[lane, default: []].reduce(0) { $0 + $1.waiting } }

    /// Number of the next entry of a lane; the same until `written`.
    package func nextNumber(in lane: SpoolLane) -> UInt64 { numbers[lane, default: 0] + 1 }

    /// Where an entry of `count` bytes goes.
    package mutating func place(_ count: Int, in lane: SpoolLane) -> Placement {
        if totalBytes + count > limits.bytes {
            if let victim = victim(toWriteIn: lane) { return .drop(victim) }
            // Details and episodes always find room: without anything to give up there is hardly anything on disk.
            if lane == .pictures { return .refuse }
        }
        if let last = parts[lane]?.last, isOpen[lane] == true {
            if last.bytes + count <= limits.segmentBytes || last.bytes == 0 {
                return .write(last.segment, at: last.bytes)
            }
            isOpen[lane] = false
        }
        return .write(
            SpoolSegment(robot: robot, boot: boot, lane: lane, first: nextNumber(in: lane)),
            at: 0
        )
    }

    package mutating func written(_ count: Int, to segment: SpoolSegment) {
        numbers[segment.lane, default: 0] += 1
        totalBytes += count
        if let index = parts[segment.lane]?.lastIndex(where: { $0.segment == segment }) {
            parts[segment.lane]?[index].bytes += count
            parts[segment.lane]?[index].entries += 1
        } else {
            parts[segment.lane, default: []].append(Part(segment: segment, bytes: count, entries: 1))
            isOpen[segment.lane] = true
        }
    }

    /// What to give up so that something can be written, nil when nothing may go for it.
    ///
    /// The oldest thumbnails first, then the oldest details, but never for thumbnails. Episodes only when there is
    /// nothing else and only for episodes. What is being sent right now goes last of its kind.
    package func victim(toWriteIn lane: SpoolLane) -> SpoolSegment? {
        for kind in lane == .pictures ? [SpoolLane.pictures] : [.pictures, .details] {
            let files = parts[kind, default: []]
            if let oldest = files.first(where: { $0.segment != inFlight }) ?? files.first { return oldest.segment }
        }
        guard lane == .episodes else { return nil }
        let episodes = parts[.episodes, default: []]
        // The file that grows holds the newest; without it there would be nothing left.
        return episodes.dropLast(isOpen[.episodes] == true ? 1 : 0).first?.segment
    }

    package func part(_ segment: SpoolSegment) -> Part? {
        parts[segment.lane]?.first { $0.segment == segment }
    }

    /// The file is gone.
    package mutating func removed(_ segment: SpoolSegment) {
        guard let index = parts[segment.lane]?.firstIndex(where: { $0.segment == segment }),
            let part = parts[segment.lane]?.remove(at: index)
        else { return }
        totalBytes -= part.bytes
        if parts[segment.lane]?.isEmpty != false || index == parts[segment.lane]?.count { isOpen[segment.lane] = false }
        if inFlight == segment { inFlight = nil }
    }

    /// The oldest file with something to send: episodes first, because they are few and matter most.
    package mutating func nextToSend() -> Part? {
        for lane in SpoolLane.allCases {
            if let part = parts[lane]?.first(where: { $0.sentBytes < $0.bytes }) {
                inFlight = part.segment
                return part
            }
        }
        inFlight = nil
        return nil
    }

    /// The control plane has everything up to `end`.
    ///
    /// - Parameter last: number of the last entry that was read there; nil when there was none.
    /// - Parameter entries: entries that were read.
    /// - Parameter hasDamagedTail: behind them, up to the end of the file, nothing could be read.
    /// - Returns: entries that must have been there and were damaged, and whether to delete the file.
    package mutating func committed(
        _ segment: SpoolSegment,
        through end: Int,
        entries: Int,
        last: UInt64?,
        hasDamagedTail: Bool
    ) -> (damaged: UInt64, delete: Bool) {
        guard let index = parts[segment.lane]?.firstIndex(where: { $0.segment == segment }),
            var part = parts[segment.lane]?[index]
        else { return (0, false) }
        inFlight = nil
        var damaged: UInt64 = 0
        // The largest number there is has no successor, and no file misses more than its bytes have room for.
        if let last, last < UInt64.max, last + 1 > part.expected {
            let missing = (last + 1 - part.expected) - min(UInt64(entries), last + 1 - part.expected)
            damaged = min(missing, UInt64(max(0, part.bytes / SpoolFrame.minimumBytes - entries)))
            part.expected = last + 1
        }
        part.sentBytes = max(part.sentBytes, end)
        part.sentEntries = min(part.entries, part.sentEntries + entries + Int(damaged))
        let grows = isOpen[segment.lane] == true && index == (parts[segment.lane]?.count ?? 0) - 1
        if part.sentBytes >= part.bytes {
            damaged += max(UInt64(part.waiting), hasDamagedTail ? 1 : 0)
            part.sentEntries = part.entries
        }
        parts[segment.lane]?[index] = part
        return (damaged, part.sentBytes >= part.bytes && (!grows || part.bytes >= limits.retireBytes))
    }

    /// Files whose every entry is committed; for the end of a run.
    package var finished: [SpoolSegment] {
        parts.values.flatMap { $0.filter { $0.sentBytes >= $0.bytes }.map(\.segment) }
    }
}
