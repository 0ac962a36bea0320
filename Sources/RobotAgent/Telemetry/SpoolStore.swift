import DequeModule
import SwiftProtobuf

/// The spool behind its lock: does what `SpoolState` decides, and keeps what finds no room on disk.
///
/// Owned by `TelemetrySpool`, under its lock. Nothing here waits for the disk to be safe; that is `synchronize`'s part.
struct SpoolStore {
    /// What the sender takes in its hands: entries of one file, or one that never reached the disk.
    struct Batch: Sendable {
        enum Source: Sendable {
            case file(SpoolSegment, end: Int, damagedTail: Bool)
            case memory
        }

        var boot: String
        var source: Source
        var entries: [SpoolEntry]
    }

    /// Episode entries that are kept in memory while the disk takes none; older ones are given up beyond it.
    static let memoryLimit = 1000
    /// A report of so many of the largest thumbnails has 1 MB.
    static let picturesPerBatch = 32

    private let storage: any SpoolStorage
    private let robot: String
    private let boot: String
    /// Nil: what is refused is only counted.
    private var refused: RefusedEntries?
    private var state: SpoolState
    private var memory = Deque<SpoolEntry>()
    private(set) var losses = SpoolLosses()
    private var reportedLosses: UInt64 = 0
    /// Files written to since the last synchronisation.
    private(set) var unsynchronized: Set<String> = []
    private(set) var lastProblem: String?

    /// Finds what earlier starts left.
    ///
    /// - Parameter refused: where entries are kept that the control plane refuses for good.
    init(
        storage: any SpoolStorage,
        refused: (any SpoolStorage)? = nil,
        robot: String,
        boot: String,
        limits: SpoolState.Limits
    ) throws(SpoolStorageError) {
        self.storage = storage
        self.robot = robot
        self.boot = boot
        self.refused = try refused.map { (storage) throws(SpoolStorageError) in
            try RefusedEntries(storage: storage, robot: robot)
        }
        var found: [(segment: SpoolSegment, bytes: Int)] = []
        for file in try storage.list() {
            guard let segment = SpoolSegment(fileName: file.name, robot: robot), segment.boot != boot else { continue }
            found.append((segment, file.bytes))
        }
        let boots = found.map(\.segment.boot).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        var parts: [SpoolState.Part] = []
        for boot in boots {
            for lane in SpoolLane.allCases {
                let files = found.filter { $0.segment.boot == boot && $0.segment.lane == lane }
                    .sorted { $0.segment.first < $1.segment.first }
                for (index, file) in files.enumerated() {
                    // The next file's name says how many are in this one; only the last must be counted.
                    let count: Int
                    if index + 1 < files.count {
                        // A name is only a name: no file holds more than its bytes allow.
                        let named = files[index + 1].segment.first - file.segment.first
                        count = min(Int(clamping: named), file.bytes / SpoolFrame.minimumBytes)
                    } else if let bytes = try? storage.read(file.segment.fileName, from: 0) {
                        count = SpoolFrame.decode(bytes).entries.count
                    } else {
                        // It cannot be read; the sender says so when it comes to it.
                        count = 0
                    }
                    parts.append(SpoolState.Part(segment: file.segment, bytes: file.bytes, entries: count))
                }
            }
        }
        state = SpoolState(robot: robot, boot: boot, left: parts, limits: limits)
    }

    var waitingCount: Int { state.waitingCount + memory.count }
    var waitingDetails: Int { state.waitingCount(in: .details) }
    var waitingPictures: Int { state.waitingCount(in: .pictures) }
    var bytes: Int { state.bytes }

    /// Keeps one entry.
    ///
    /// - Returns: the file to synchronise before the entry can be relied on, nil when it is in memory or given up.
    @discardableResult
    mutating func append(_ kind: SpoolEntry.Kind, payload: (UInt64) throws -> [UInt8]) rethrows -> String? {
        moveMemoryToDisk()
        let number = state.nextNumber(in: kind.lane)
        let entry = SpoolEntry(kind: kind, number: number, payload: try payload(number))
        let file = memory.isEmpty || kind.lane != .episodes ? write(entry) : nil
        if file == nil { keepOrGiveUp(entry) }
        reportLosses()
        return file
    }

    private mutating func write(_ entry: SpoolEntry) -> String? {
        let frame = SpoolFrame.encode(entry)
        while true {
            switch state.place(frame.count, in: entry.kind.lane) {
            case .refuse:
                return nil
            case .drop(let segment):
                giveUp(segment)
            case .write(let segment, let offset):
                do throws(SpoolStorageError) {
                    try storage.write(frame, to: segment.fileName, at: offset)
                    state.written(frame.count, to: segment)
                    unsynchronized.insert(segment.fileName)
                    lastProblem = nil
                    return segment.fileName
                } catch {
                    lastProblem = error.description
                    // Deleting helps against a full disk only.
                    guard error.code == .full, let victim = fullDiskVictim(for: entry.kind.lane) else { return nil }
                    giveUp(victim)
                }
            }
        }
    }

    /// A full disk never costs an episode: its entries wait in memory instead.
    private func fullDiskVictim(for lane: SpoolLane) -> SpoolSegment? {
        guard let victim = state.victim(toWriteIn: lane), victim.lane != .episodes else { return nil }
        return victim
    }

    private mutating func keepOrGiveUp(_ entry: SpoolEntry) {
        guard entry.kind.lane == .episodes, entry.kind != .drops else {
            losses.gaveUp(entry.kind)
            return
        }
        memory.append(entry)
        if memory.count > Self.memoryLimit { losses.gaveUp(memory.removeFirst().kind) }
    }

    private mutating func moveMemoryToDisk() {
        while let first = memory.first {
            let entry = SpoolEntry(kind: first.kind, number: state.nextNumber(in: .episodes), payload: first.payload)
            guard write(entry) != nil else { return }
            memory.removeFirst()
        }
    }

    private mutating func giveUp(_ segment: SpoolSegment) {
        guard let part = state.part(segment) else { return }
        do throws(SpoolStorageError) {
            let rest = try storage.read(segment.fileName, from: part.sentBytes)
            let entries = SpoolFrame.decode(rest).entries
            for decoded in entries { losses.gaveUp(decoded.entry.kind) }
            losses.damaged += UInt64(max(0, part.waiting - entries.count))
        } catch {
            losses.damaged += UInt64(part.waiting)
        }
        remove(segment)
    }

    /// Losses are an entry like others, small and among the last to go.
    private mutating func reportLosses() {
        guard losses.total > reportedLosses else { return }
        let before = losses.total
        // Numbers always encode.
        guard let payload: [UInt8] = try? losses.message.serializedBytes() else { return }
        let entry = SpoolEntry(kind: .drops, number: state.nextNumber(in: .episodes), payload: payload)
        if write(entry) != nil { reportedLosses = before }
    }

    /// What to send next, at most `limit` entries of one file.
    mutating func nextBatch(limit: Int) -> Batch? {
        while let part = state.nextToSend() {
            // Memory holds episodes only, which come before everything else.
            if part.segment.lane != .episodes, let first = memory.first {
                return Batch(boot: boot, source: .memory, entries: [first])
            }
            let bytes: [UInt8]
            do throws(SpoolStorageError) {
                bytes = try storage.read(part.segment.fileName, from: part.sentBytes)
            } catch {
                lastProblem = error.description
                losses.damaged += UInt64(part.waiting)
                remove(part.segment)
                reportLosses()
                continue
            }
            let (found, hasDamagedTail) = SpoolFrame.decode(bytes)
            let taken = found.prefix(Self.batchLimit(part.segment.lane, limit))
            let isAll = taken.count == found.count
            let end = isAll ? part.bytes : part.sentBytes + (taken.last?.end ?? 0)
            let batch = Batch(
                boot: part.segment.boot,
                source: .file(part.segment, end: end, damagedTail: isAll && hasDamagedTail),
                entries: taken.map(\.entry)
            )
            if batch.entries.isEmpty {
                // Nothing readable is left in it.
                committed(batch)
                continue
            }
            return batch
        }
        return memory.first.map { Batch(boot: boot, source: .memory, entries: [$0]) }
    }

    private static func batchLimit(_ lane: SpoolLane, _ limit: Int) -> Int {
        switch lane {
        case .episodes: 1
        case .details: limit
        case .pictures: min(limit, picturesPerBatch)
        }
    }

    /// The control plane never will take what is in the batch: it is kept beside the spool, and counted.
    mutating func refused(_ batch: Batch, because reason: String) {
        for entry in batch.entries {
            losses.gaveUp(entry.kind)
            losses.refused += 1
            do throws(SpoolStorageError) {
                try refused?.keep(entry, boot: batch.boot, reason: reason)
            } catch {
                lastProblem = error.description
            }
        }
        committed(batch)
    }

    /// The control plane has all of the batch.
    mutating func committed(_ batch: Batch) {
        switch batch.source {
        case .memory:
            if memory.first == batch.entries.first { memory.removeFirst() }
        case .file(let segment, let end, let damagedTail):
            let result = state.committed(
                segment,
                through: end,
                entries: batch.entries.count,
                last: batch.entries.last?.number,
                hasDamagedTail: damagedTail
            )
            losses.damaged += result.damaged
            if result.delete { remove(segment) }
        }
        reportLosses()
    }

    /// Deletes what is committed altogether; the last act of a run.
    mutating func removeFinished() {
        for segment in state.finished { remove(segment) }
    }

    mutating func takeUnsynchronized() -> Set<String> {
        defer { unsynchronized = [] }
        return unsynchronized
    }

    private mutating func remove(_ segment: SpoolSegment) {
        do throws(SpoolStorageError) {
            try storage.delete(segment.fileName)
        } catch {
            // It will be found at the next start and sent again, which is harmless.
            lastProblem = error.description
        }
        unsynchronized.remove(segment.fileName)
        state.removed(segment)
    }
}
