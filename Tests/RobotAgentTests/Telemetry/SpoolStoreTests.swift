import GrootAPI
import SwiftProtobuf
import Testing

@testable import RobotAgent

struct SpoolStoreTests {
    private typealias Kind = SpoolEntry.Kind

    private func store(
        _ folder: MemoryFolder,
        boot: String = "b1",
        limits: SpoolState.Limits = .init()
    ) throws -> SpoolStore {
        try SpoolStore(storage: folder, robot: "r1", boot: boot, limits: limits)
    }

    /// Sends everything; what came out, in order.
    private func drain(_ store: inout SpoolStore, limit: Int = 1000) -> [SpoolEntry] {
        var result: [SpoolEntry] = []
        while let batch = store.nextBatch(limit: limit) {
            result += batch.entries
            store.committed(batch)
        }
        return result
    }

    @Test func whatWasWrittenComesOutEpisodesFirstAndInOrder() throws {
        let folder = MemoryFolder()
        var store = try store(folder)
        for kind in [Kind.register, .start, .inference, .controlSample, .event, .inference, .finish] {
            store.append(kind) { [kind.rawValue, UInt8($0)] }
        }
        #expect(store.waitingCount == 7)
        let out = drain(&store)
        #expect(out.map(\.kind) == [.register, .start, .finish, .inference, .controlSample, .event, .inference])
        // Records count densely, whatever happens to episodes in between.
        #expect(out.suffix(4).map(\.number) == [1, 2, 3, 4])
        #expect(out.suffix(4).map(\.payload) == [[4, 1], [5, 2], [6, 3], [4, 4]])
        #expect(store.waitingCount == 0)
        #expect(store.losses.total == 0)
        store.removeFinished()
        #expect(folder.files.isEmpty)
    }

    @Test func nothingIsForgottenBeforeItIsCommitted() throws {
        let folder = MemoryFolder()
        var store = try store(folder)
        for _ in 0..<10 { store.append(.inference) { [UInt8($0)] } }
        let offered = store.nextBatch(limit: 4)
        let first = try #require(offered)
        #expect(first.entries.map(\.number) == [1, 2, 3, 4])
        let again = store.nextBatch(limit: 4)
        #expect(again?.entries.map(\.number) == [1, 2, 3, 4], "not acknowledged: once more")
        store.committed(first)
        store.append(.inference) { [UInt8($0)] }
        let rest = store.nextBatch(limit: 100)
        #expect(rest?.entries.map(\.number) == Array(5...11))
    }

    @Test func theNextStartSendsWhatTheLastOneLeft() throws {
        let folder = MemoryFolder()
        var first = try store(folder, limits: .init(segmentBytes: 200))
        for kind in [Kind.register, .start] { first.append(kind) { _ in [] } }
        for _ in 0..<50 { first.append(.inference) { [UInt8($0)] } }
        if let batch = first.nextBatch(limit: 1) { first.committed(batch) }
        #expect(first.waitingCount == 51)

        // Killed here. Part of a file that is committed may come again, never less than everything else.
        var second = try store(folder, boot: "b2")
        #expect(second.waitingCount == 52)
        second.append(.start) { _ in [9] }
        second.append(.inference) { _ in [9] }
        var seen: [(boot: String, entry: SpoolEntry)] = []
        while let batch = second.nextBatch(limit: 7) {
            seen += batch.entries.map { (batch.boot, $0) }
            second.committed(batch)
        }
        #expect(seen.filter { $0.boot == "b1" && $0.entry.kind == .inference }.map(\.entry.number) == Array(1...50))
        #expect(seen.filter { $0.boot == "b2" }.map(\.entry.kind) == [.start, .inference])
        #expect(seen.last?.boot == "b2", "the oldest details come first")
        second.removeFinished()
        #expect(folder.files.isEmpty)
    }

    @Test func aCutAtAnyByteCostsAtMostTheEntryInWhichItIs() throws {
        let folder = MemoryFolder()
        var store = try store(folder)
        var ends: [Int] = []
        var random = SplitMix(state: 7)
        for _ in 0..<30 {
            let payload = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            store.append(.inference) { _ in payload }
            ends.append(folder.bytes)
        }
        let file = try #require(folder.files.first)
        for cut in 0...file.bytes.count {
            let damaged = MemoryFolder([(file.name, Array(file.bytes.prefix(cut)))])
            var recovered = try self.store(damaged, boot: "b2")
            let whole = ends.count { $0 <= cut }
            let out = drain(&recovered).filter { $0.kind != .drops }
            #expect(out.map(\.number) == (0..<whole).map { UInt64($0 + 1) }, "cut at byte \(cut)")
            let isTorn = cut > 0 && !ends.contains(cut)
            #expect(recovered.losses.damaged == (isTorn ? 1 : 0), "cut at byte \(cut)")
        }
    }

    @Test(arguments: [UInt8(0x01), 0x10, 0x80, 0xFF])
    func aDamagedByteCostsOneEntryAndIsCounted(flip: UInt8) throws {
        let folder = MemoryFolder()
        var store = try store(folder)
        for index in 0..<8 { store.append(.inference) { _ in [UInt8(index), 1, 2, 3, 0x47, 0x53] } }
        let file = try #require(folder.files.first)
        let whole = SpoolFrame.decode(file.bytes).entries.map(\.entry)
        for position in file.bytes.indices {
            var bytes = file.bytes
            bytes[position] ^= flip
            var recovered = try self.store(MemoryFolder([(file.name, bytes)]), boot: "b2")
            let out = drain(&recovered)
            let details = out.filter { $0.kind != .drops }
            #expect(details.allSatisfy(whole.contains), "damage at byte \(position) invents nothing")
            #expect(details.count == whole.count - 1, "damage at byte \(position)")
            #expect(recovered.losses.damaged == 1)
            // And the control plane hears of it.
            let told = try out.filter { $0.kind == .drops }
                .map { try Groot_V1_TelemetryDrops(serializedBytes: $0.payload) }
            #expect(told.last?.damaged == 1)
        }
    }

    @Test func manyDamagedPlacesAreCountedExactly() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(segmentBytes: 300))
        for index in 0..<60 { store.append(.controlSample) { _ in [UInt8(index), 7] } }
        var random = SplitMix(state: 3)
        for _ in 0..<20 {
            var lost = Set<UInt64>()
            let files = folder.files.map { file in
                var bytes = file.bytes
                for decoded in SpoolFrame.decode(file.bytes).entries where Int.random(in: 0...4, using: &random) == 0 {
                    bytes[decoded.end - 1] ^= 0x20
                    lost.insert(decoded.entry.number)
                }
                return (name: file.name, bytes: bytes)
            }
            // Of the very last file nobody knows how many it had: what is damaged at its end counts as one.
            guard !lost.contains(60) || !lost.contains(59) else { continue }
            var recovered = try self.store(MemoryFolder(files), boot: "b2")
            let out = drain(&recovered).filter { $0.kind == .controlSample }.map(\.number)
            #expect(Set(out) == Set(1...60).subtracting(lost))
            #expect(recovered.losses.damaged == UInt64(lost.count))
        }
    }

    @Test func beyondItsLimitTheOldestDetailsGoAndEpisodesStay() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(bytes: 4000, segmentBytes: 500))
        for round in 0..<20 {
            store.append(.start) { _ in [UInt8(round)] }
            for _ in 0..<10 { store.append(.inference) { _ in Array(repeating: 1, count: 20) } }
            store.append(.finish) { _ in [UInt8(round)] }
            #expect(folder.bytes <= 4000)
        }
        let out = drain(&store)
        #expect(out.filter { $0.kind == .start }.map { Int($0.payload[0]) } == Array(0..<20))
        #expect(out.filter { $0.kind == .finish }.count == 20)
        let kept = out.filter { $0.kind == .inference }.map(\.number)
        #expect(kept.last == 200, "the newest stay")
        #expect(kept == Array((kept.first ?? 0)...200), "the oldest went")
        #expect(store.losses.inferences == UInt64(200 - kept.count))
        let told = try out.filter { $0.kind == .drops }.map { try Groot_V1_TelemetryDrops(serializedBytes: $0.payload) }
        #expect(told.last?.inferences == store.losses.inferences)
        #expect(store.losses.total == store.losses.inferences)
    }

    @Test func thumbnailsGoFirstAndNeverCostAnythingElse() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(bytes: 6000, segmentBytes: 500))
        for round in 0..<10 {
            store.append(.start) { _ in [UInt8(round)] }
            for _ in 0..<4 { store.append(.inference) { _ in Array(repeating: 1, count: 20) } }
            for _ in 0..<4 { store.append(.thumbnail) { _ in Array(repeating: 2, count: 200) } }
            #expect(folder.bytes <= 6000)
        }
        #expect(store.losses.thumbnails > 0 && store.losses.total == store.losses.thumbnails)
        // Details fill it up: the last thumbnails go, and new ones are not taken any more.
        for _ in 0..<200 { store.append(.inference) { _ in Array(repeating: 1, count: 20) } }
        let details = store.losses.inferences
        #expect(details > 0)
        for _ in 0..<5 { store.append(.thumbnail) { _ in Array(repeating: 2, count: 500) } }
        #expect(store.losses.inferences == details && store.losses.episodes == 0)
        let out = drain(&store)
        let thumbnails = out.filter { $0.kind == .thumbnail }
        #expect(store.losses.thumbnails == 45 - UInt64(thumbnails.count))
        #expect(out.filter { $0.kind == .start }.count == 10)
        #expect(out.filter { $0.kind == .inference }.count == 240 - Int(details))
        let told = try out.filter { $0.kind == .drops }.map { try Groot_V1_TelemetryDrops(serializedBytes: $0.payload) }
        #expect(told.last?.thumbnails == store.losses.thumbnails)
    }

    @Test func thumbnailsComeLastInSmallReportsWithNumbersOfTheirOwn() throws {
        var store = try store(MemoryFolder())
        for _ in 0..<40 {
            store.append(.thumbnail) { [UInt8($0)] }
            store.append(.event) { [UInt8($0)] }
        }
        store.append(.finish) { [UInt8($0)] }
        var batches: [[SpoolEntry]] = []
        while let batch = store.nextBatch(limit: 1000) {
            batches.append(batch.entries)
            store.committed(batch)
        }
        #expect(batches.map(\.count) == [1, 40, SpoolStore.picturesPerBatch, 40 - SpoolStore.picturesPerBatch])
        #expect(batches.map { $0[0].kind } == [.finish, .event, .thumbnail, .thumbnail])
        #expect(batches[2...].joined().map(\.number) == Array(1...40))
    }

    @Test func episodesGoWhenNothingElseIsLeft() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(bytes: 2000, segmentBytes: 300))
        for round in 0..<200 { store.append(.finish) { _ in [UInt8(round)] } }
        let out = drain(&store).filter { $0.kind == .finish }.map { Int($0.payload[0]) }
        #expect(out.last == 199)
        #expect(out.count + Int(store.losses.episodes) == 200)
        #expect(folder.bytes <= 2000)
    }

    @Test func aFullDiskCostsTheOldestDetailsFirst() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(segmentBytes: 400))
        folder.capacity = 3000
        for round in 0..<30 {
            store.append(.start) { _ in [UInt8(round)] }
            for _ in 0..<5 { store.append(.controlSample) { _ in Array(repeating: 2, count: 30) } }
            store.append(.event) { _ in [UInt8(round)] }
        }
        #expect(folder.bytes <= 3000)
        let out = drain(&store)
        #expect(out.filter { $0.kind == .start }.count == 30)
        let details = out.filter { $0.kind == .controlSample || $0.kind == .event }.map(\.number)
        #expect(details == Array((details.first ?? 0)...180))
        #expect(Int(store.losses.controlSamples + store.losses.events) == 180 - details.count)
    }

    @Test func withoutAnyRoomEpisodesWaitInMemoryAndAreSentAllTheSame() throws {
        let folder = MemoryFolder()
        folder.capacity = 0
        var store = try store(folder)
        store.append(.start) { _ in [1] }
        for _ in 0..<3 { store.append(.inference) { _ in [] } }
        store.append(.finish) { _ in [2] }
        #expect(store.waitingCount == 2)
        #expect(store.losses.inferences == 3)
        #expect(store.lastProblem == "no space left")
        let offered = store.nextBatch(limit: 10)
        let first = try #require(offered)
        #expect(first.entries.map(\.kind) == [.start])
        store.committed(first)
        // Room again: what is in memory goes to disk before anything else does.
        folder.capacity = .max
        store.append(.register) { _ in [3] }
        #expect(store.lastProblem == nil)
        var next = try self.store(MemoryFolder(folder.files), boot: "b2")
        let (after, now) = (drain(&next), drain(&store))
        #expect(after.filter { $0.kind != .drops }.map(\.payload) == [[2], [3]])
        #expect(now.filter { $0.kind != .drops }.map(\.payload) == [[2], [3]])
    }

    @Test func aBrokenDiskDeletesNothing() throws {
        let folder = MemoryFolder()
        var store = try store(folder)
        for _ in 0..<3 { store.append(.inference) { _ in [] } }
        folder.isBroken = true
        store.append(.inference) { _ in [] }
        store.append(.finish) { _ in [] }
        folder.isBroken = false
        #expect(store.losses.inferences == 1)
        let out = drain(&store).map(\.kind)
        #expect(out.filter { $0 != .drops } == [.finish, .inference, .inference, .inference])
    }

    @Test func committedFilesLeaveTheDisk() throws {
        let folder = MemoryFolder()
        var store = try store(folder, limits: .init(segmentBytes: 400, retireBytes: 200))
        for _ in 0..<100 {
            for _ in 0..<3 { store.append(.inference) { _ in [1, 2, 3] } }
            let out = drain(&store)
            #expect(out.count == 3)
            #expect(folder.bytes < 400)
        }
        #expect(store.losses.total == 0)
    }

    @Test func randomEventsAgreeWithASimpleModel() throws {
        for seed in UInt64(1)...20 {
            var random = SplitMix(state: seed)
            let folder = MemoryFolder()
            let limits = SpoolState.Limits(bytes: .max, segmentBytes: 300, retireBytes: 100)
            var boot = 1
            var store = try self.store(folder, boot: "b\(boot)", limits: limits)
            var written = 0
            var received: [String: Set<UInt64>] = [:]
            for _ in 0..<400 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<6:
                    store.append(Bool.random(using: &random) ? .inference : .event) { _ in [1] }
                    written += 1
                case 6..<9:
                    guard let batch = store.nextBatch(limit: Int.random(in: 1...9, using: &random)) else { continue }
                    received[batch.boot, default: []].formUnion(batch.entries.map(\.number))
                    // The answer may get lost.
                    if Bool.random(using: &random) { store.committed(batch) }
                default:
                    boot += 1
                    store = try self.store(folder, boot: "b\(boot)", limits: limits)
                }
            }
            while let batch = store.nextBatch(limit: 5) {
                received[batch.boot, default: []].formUnion(batch.entries.map(\.number))
                store.committed(batch)
            }
            #expect(received.values.reduce(0) { $0 + $1.count } == written, "seed \(seed)")
            for numbers in received.values { #expect(numbers == Set(1...UInt64(numbers.count)), "seed \(seed)") }
            #expect(store.losses.total == 0)
        }
    }
}
