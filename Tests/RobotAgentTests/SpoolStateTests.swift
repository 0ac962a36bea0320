import Testing

@testable import RobotAgent

/// A file in memory that applies what `SpoolState` decides.
private struct MemoryFile {
    var bytes: [UInt8] = []

    mutating func apply(_ change: SpoolState.FileChange) {
        switch change {
        case .append(let more): bytes += more
        case .truncate: bytes = []
        case .none: break
        }
    }
}

struct SpoolStateTests {
    private func numbers(_ state: SpoolState) -> [UInt64] {
        var state = state
        var result: [UInt64] = []
        while let batch = state.nextBatch(limit: 1000) {
            switch batch {
            case .inferences(let entries): result += entries.map(\.number)
            case .register(let entry), .start(let entry), .finish(let entry): result.append(entry.number)
            }
            _ = state.committed(through: batch.lastNumber)
        }
        return result
    }

    @Test func batchesKeepTheOrderOfEvents() {
        var state = SpoolState()
        for kind in [SpoolEntry.Kind.register, .start, .inference, .inference, .finish] {
            _ = state.appended(kind, payload: [kind.rawValue])
        }
        #expect(state.nextBatch(limit: 10)?.lastNumber == 1)
        _ = state.committed(through: 2)
        guard case .inferences(let entries)? = state.nextBatch(limit: 10) else {
            Issue.record("records follow")
            return
        }
        #expect(entries.map(\.number) == [3, 4])
        _ = state.committed(through: 3)
        #expect(state.nextBatch(limit: 10)?.lastNumber == 4)
        _ = state.committed(through: 4)
        guard case .finish? = state.nextBatch(limit: 10) else {
            Issue.record("the end comes last")
            return
        }
    }

    @Test func aCrashAtAnyByteLosesAtMostWhatWasBeingWritten() {
        var state = SpoolState()
        var file = MemoryFile()
        // After `bytes` bytes are on disk: everything written whole, and what is acknowledged.
        var history: [(bytes: Int, waiting: [UInt64])] = [(0, [])]
        var random = SplitMix(state: 7)
        for step in 0..<40 {
            if step % 5 == 4, let batch = state.nextBatch(limit: 2) {
                file.apply(state.committed(through: batch.lastNumber))
            } else {
                let kind: SpoolEntry.Kind = step % 7 == 0 ? .start : .inference
                let payload = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                file.apply(state.appended(kind, payload: payload))
            }
            history.append((file.bytes.count, numbers(state)))
        }
        for cut in 0...file.bytes.count {
            let recovered = SpoolState(recovering: Array(file.bytes.prefix(cut)))
            let expected = history.last { $0.bytes <= cut }?.waiting
            #expect(numbers(recovered) == expected, "cut at byte \(cut)")
            #expect(recovered.validBytes == history.last { $0.bytes <= cut }?.bytes)
        }
    }

    @Test func aDamagedByteNeverInventsAnEntry() {
        var state = SpoolState()
        var file = MemoryFile()
        for index in 0..<5 { file.apply(state.appended(.inference, payload: [UInt8(index), 1, 2, 3])) }
        let whole = numbers(state)
        for position in file.bytes.indices {
            var damaged = file.bytes
            damaged[position] ^= 0x10
            let recovered = numbers(SpoolState(recovering: damaged))
            #expect(whole.starts(with: recovered), "damage at byte \(position)")
            #expect(recovered.count < whole.count)
        }
    }

    @Test func appendingContinuesBehindACutTail() {
        var state = SpoolState()
        var file = MemoryFile()
        file.apply(state.appended(.inference, payload: [1]))
        file.apply(state.appended(.inference, payload: [2]))
        file.bytes.removeLast(3)
        var recovered = SpoolState(recovering: file.bytes)
        file.bytes.removeLast(file.bytes.count - recovered.validBytes)
        file.apply(recovered.appended(.finish, payload: [3]))
        #expect(numbers(SpoolState(recovering: file.bytes)) == [1, 2])
        guard
            case .finish? = { () -> SpoolState.Batch? in
                var state = SpoolState(recovering: file.bytes)
                _ = state.committed(through: 1)
                return state.nextBatch(limit: 1)
            }()
        else {
            Issue.record("the entry behind the cut is the one appended later")
            return
        }
    }

    @Test func acknowledgedEntriesAreGoneForGood() {
        var state = SpoolState()
        var file = MemoryFile()
        for _ in 0..<3 { file.apply(state.appended(.inference, payload: [])) }
        file.apply(state.committed(through: 99))
        #expect(SpoolState(recovering: file.bytes).isEmpty)
        #expect(state.committed(through: 2) == .none, "an old acknowledgement changes nothing")
    }

    @Test func aFullSpoolDropsRecordsButNeverEpisodes() {
        var state = SpoolState(limits: .init(entries: 2))
        for _ in 0..<5 { _ = state.appended(.inference, payload: []) }
        #expect(state.dropped == 3)
        #expect(state.appended(.finish, payload: []) != .none)
        #expect(state.waitingCount == 3)
    }

    @Test func anEmptySpoolStartsItsFileAnew() {
        var state = SpoolState(limits: .init(rewriteBytes: 100))
        var file = MemoryFile()
        for _ in 0..<10 { file.apply(state.appended(.inference, payload: [0, 0, 0, 0])) }
        file.apply(state.committed(through: 10))
        #expect(file.bytes.isEmpty)
        file.apply(state.appended(.inference, payload: []))
        #expect(numbers(SpoolState(recovering: file.bytes)) == [11])
    }
}
