import DequeModule

/// What one boot of the agent still has to report, and the bytes that make it survive a crash.
///
/// Pure: every method returns the bytes that the file shell must append before anything else happens.
/// Entries leave only after the control plane has committed them.
package struct SpoolState: Sendable {
    package struct Limits: Sendable {
        /// Entries that wait; inference records beyond it are refused and counted, episodes never are.
        package var entries: Int
        /// Bytes in the file after which an empty spool starts its file anew.
        package var rewriteBytes: Int

        package init(entries: Int = 100_000, rewriteBytes: Int = 4 << 20) {
            self.entries = entries
            self.rewriteBytes = rewriteBytes
        }
    }

    /// What goes into the next call.
    package enum Batch: Equatable, Sendable {
        case register(SpoolEntry)
        case start(SpoolEntry)
        case finish(SpoolEntry)
        case inferences([SpoolEntry])

        package var count: Int {
            if case .inferences(let entries) = self { entries.count } else { 1 }
        }

        /// Number to acknowledge when the call was answered.
        package var lastNumber: UInt64 {
            switch self {
            case .register(let entry), .start(let entry), .finish(let entry): entry.number
            case .inferences(let entries): entries.last?.number ?? 0
            }
        }
    }

    package enum FileChange: Equatable, Sendable {
        case append([UInt8])
        /// Nothing waits: cut the file to nothing.
        case truncate
        case none
    }

    package private(set) var dropped: UInt64 = 0
    private let limits: Limits
    private var waiting = Deque<SpoolEntry>()
    private var acknowledged: UInt64 = 0
    private var lastNumber: UInt64 = 0
    private var fileBytes = 0

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Reads a file that another run left; `validBytes` is where the file must be cut before appending.
    package init(recovering bytes: [UInt8], limits: Limits = Limits()) {
        self.limits = limits
        let (entries, consumed) = SpoolFrame.decode(bytes)
        acknowledged = entries.filter { $0.kind == .acknowledgement }.map(\.number).max() ?? 0
        lastNumber = entries.map(\.number).max() ?? 0
        waiting = Deque(entries.filter { $0.kind != .acknowledgement && $0.number > acknowledged })
        fileBytes = consumed
    }

    package var validBytes: Int { fileBytes }
    package var waitingCount: Int { waiting.count }
    package var isEmpty: Bool { waiting.isEmpty }
    package var nextNumber: UInt64 { lastNumber + 1 }

    /// Takes one entry; `.none` means that the spool is full and the record was dropped.
    package mutating func appended(_ kind: SpoolEntry.Kind, payload: [UInt8]) -> FileChange {
        if kind == .inference, waiting.count >= limits.entries {
            dropped += 1
            return .none
        }
        let entry = SpoolEntry(kind: kind, number: nextNumber, payload: payload)
        lastNumber = entry.number
        waiting.append(entry)
        return write(entry)
    }

    /// The control plane committed everything up to `number`.
    package mutating func committed(through number: UInt64) -> FileChange {
        let number = min(number, lastNumber)
        guard number > acknowledged else { return .none }
        acknowledged = number
        while let first = waiting.first, first.number <= number { waiting.removeFirst() }
        if waiting.isEmpty, fileBytes > limits.rewriteBytes {
            fileBytes = 0
            return .truncate
        }
        return write(SpoolEntry(kind: .acknowledgement, number: number, payload: []))
    }

    /// The oldest entries that one call can carry; nil when nothing waits.
    package func nextBatch(limit: Int) -> Batch? {
        guard let first = waiting.first else { return nil }
        switch first.kind {
        case .register: return .register(first)
        case .start: return .start(first)
        case .finish: return .finish(first)
        case .inference: return .inferences(Array(waiting.prefix(limit).prefix { $0.kind == .inference }))
        case .acknowledgement: return nil
        }
    }

    private mutating func write(_ entry: SpoolEntry) -> FileChange {
        let bytes = SpoolFrame.encode(entry)
        fileBytes += bytes.count
        return .append(bytes)
    }
}
