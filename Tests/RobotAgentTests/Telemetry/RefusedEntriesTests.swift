import Foundation
import GRPCCore
import GrootAPI
import GrootTesting
import Logging
import SwiftProtobuf
import Testing

@testable import RobotAgent

/// What the control plane refuses for good stays on the robot, with the reason, within its limits.
struct RefusedEntriesTests {
    private func entry(_ number: UInt64, bytes: Int = 10) -> SpoolEntry {
        SpoolEntry(kind: .finish, number: number, payload: Array(repeating: UInt8(number & 0xFF), count: bytes))
    }

    private func lines(_ folder: MemoryFolder) throws -> [[String: Any]] {
        try folder.files.flatMap { file in
            try String(decoding: file.bytes, as: UTF8.self).split(separator: "\n").map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
        }
    }

    @Test func everyLineHoldsTheMessageAndTheReason() throws {
        let folder = MemoryFolder()
        var refused = try RefusedEntries(storage: folder, robot: "r1")
        try refused.keep(entry(7), boot: "b1", reason: "outcome: must say")
        // A later start goes on behind what is there.
        refused = try RefusedEntries(storage: folder, robot: "r1")
        try refused.keep(entry(8), boot: "b2", reason: "again")
        let found = try lines(folder)
        #expect(found.map { $0["kind"] as? String } == ["finish", "finish"])
        #expect(found.map { $0["boot"] as? String } == ["b1", "b2"])
        #expect(found.map { $0["reason"] as? String } == ["outcome: must say", "again"])
        #expect(found[0]["message"] as? String == Data(entry(7).payload).base64EncodedString())
        #expect(refused.bytes == folder.bytes)
    }

    @Test func theOldestGoBeyondTheLimit() throws {
        let folder = MemoryFolder()
        var refused = try RefusedEntries(storage: folder, robot: "r1", limits: .init(bytes: 5000, fileBytes: 1000))
        for number in 0..<100 { try refused.keep(entry(UInt64(number)), boot: "b1", reason: "no") }
        #expect(folder.bytes <= 5000 && folder.bytes > 3500 && refused.bytes == folder.bytes)
        let numbers = try lines(folder).compactMap { ($0["number"] as? NSNumber)?.intValue }
        #expect(numbers == Array((100 - numbers.count)..<100), "the newest are there, in order")
    }

    @Test func strangersAndAbsurdNamesInTheFolderCountForNothing() throws {
        let names = [
            "r1.18446744073709551615.refused.jsonl", "r1.x.refused.jsonl", "r2.3.refused.jsonl", "notes.txt",
            "r1.refused.jsonl",
        ]
        let folder = MemoryFolder(names.map { ($0, [1, 2, 3]) })
        var refused = try RefusedEntries(storage: folder, robot: "r1")
        #expect(refused.bytes == 0)
        try refused.keep(entry(1), boot: "b", reason: "no")
        #expect(folder.files.map(\.name) == names + ["r1.1.refused.jsonl"])
    }

    /// A gateway that takes nothing of it: nothing is thrown away, and everything is counted as what it was.
    @Test(.timeLimit(.minutes(1)))
    func whatIsRefusedIsKeptAndCountedByKind() async throws {
        struct Refusing: FleetReporting {
            func register(_ request: Groot_V1_RegisterRobotRequest) async throws { throw refusal }
            func start(_ request: Groot_V1_StartEpisodeRequest) async throws { throw refusal }
            func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws { throw refusal }
            func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 {
                // What was given up may be said.
                if request.hasDrops { return 0 }
                throw refusal
            }
            private var refusal: RPCError { RPCError(code: .invalidArgument, message: "no \u{1B}[31mway") }
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let (folder, refused) = (MemoryFolder(), MemoryFolder())
        let spool = try TelemetrySpool(storage: folder, refused: refused, robot: "r1", boot: "b1", logger: logger)
        var finish = Groot_V1_FinishEpisodeRequest()
        finish.notes = "slipped\u{1B}[D from " + String(repeating: "x", count: 5000)
        await spool.append(Groot_V1_StartEpisodeRequest())
        await spool.append(finish)
        for _ in 0..<5 { await spool.append(Groot_V1_InferenceRecord()) }
        await spool.append(Groot_V1_Event())
        let sending = Task { await spool.run(to: Refusing()) }
        try await eventually(within: .seconds(30), "all of it is settled") { await spool.waitingCount == 0 }
        sending.cancel()
        let losses = spool.losses
        #expect(losses.episodes == 2 && losses.inferences == 5 && losses.events == 1 && losses.refused == 8)
        #expect(losses.total == 8 && losses.message.episodes == 2 && losses.message.refused == 8)
        let kept = try lines(refused)
        #expect(kept.count == 8 && kept.allSatisfy { $0["reason"] as? String == "no way" })
        let message = try #require(kept.first { $0["kind"] as? String == "finish" }?["message"] as? String)
        let sent = try Groot_V1_FinishEpisodeRequest(serializedBytes: try #require(Data(base64Encoded: message)))
        #expect(sent.notes.hasPrefix("slipped from xxx") && sent.notes.utf8.count == 2048)
    }

    /// An entry that another version wrote and this one cannot read holds up nothing.
    @Test(.timeLimit(.minutes(1)))
    func anEntryThatCannotBeReadIsSetAside() async throws {
        struct Taking: FleetReporting {
            func register(_ request: Groot_V1_RegisterRobotRequest) async throws {}
            func start(_ request: Groot_V1_StartEpisodeRequest) async throws {}
            func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws {}
            func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 { .max }
        }
        let unreadable = [
            SpoolEntry(kind: .start, number: 1, payload: [0xFF, 0xFF]),
            SpoolEntry(kind: .finish, number: 2, payload: []),
        ]
        let name = SpoolSegment(robot: "r1", boot: "b0", lane: .episodes, first: 1).fileName
        let folder = MemoryFolder([(name, unreadable.flatMap(SpoolFrame.encode))])
        let refused = MemoryFolder()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let spool = try TelemetrySpool(storage: folder, refused: refused, robot: "r1", boot: "b1", logger: logger)
        let sending = Task { await spool.run(to: Taking()) }
        try await eventually(within: .seconds(30), "the next one is sent") { await spool.waitingCount == 0 }
        sending.cancel()
        #expect(spool.losses.episodes == 1)
        #expect(try lines(refused).map { $0["kind"] as? String } == ["start"])
    }

    /// A file that nobody wrote, whatever its name says, neither stops an agent nor shows in its figures.
    @Test(
        arguments: [
            ["r1.b0.details.09223372036854775807.spool", "r1.b0.details.00000000000000000001.spool"],
            ["r1.b0.details.18446744073709551615.spool", "r1.b0.details.18446744073709551614.spool"],
            ["r1.b0.episodes.09000000000000000000.spool", "r1.b0.pictures.09000000000000000000.spool"],
        ]
    )
    func aStrayFileDistortsNothing(_ names: [String]) throws {
        for content in [[], [1, 2, 3], SpoolFrame.encode(SpoolEntry(kind: .event, number: .max, payload: [1]))] {
            let folder = MemoryFolder(names.map { ($0, content) })
            var store = try SpoolStore(storage: folder, robot: "r1", boot: "b1", limits: .init())
            #expect(store.waitingCount <= 2)
            while let batch = store.nextBatch(limit: 100) { store.committed(batch) }
            #expect(store.waitingCount == 0 && store.losses.total <= 4)
        }
    }

    @Test func foldersPipesAndLinksInTheSpoolAreNotRead() throws {
        let directory = try TemporaryDirectory()
        let name = SpoolSegment(robot: "r1", boot: "b0", lane: .details, first: 1).fileName
        let folder = try SpoolFolder(directory.url)
        try FileManager.default.createDirectory(
            at: directory.url.appending(path: name),
            withIntermediateDirectories: false
        )
        let pipe = SpoolSegment(robot: "r1", boot: "b0", lane: .details, first: 2).fileName
        let make = try Process.run(
            URL(filePath: "/usr/bin/mkfifo"),
            arguments: [directory.url.appending(path: pipe).path]
        )
        make.waitUntilExit()
        #expect(make.terminationStatus == 0)
        try FileManager.default.createSymbolicLink(
            at: directory.url.appending(path: SpoolSegment(robot: "r1", boot: "b0", lane: .details, first: 3).fileName),
            withDestinationURL: URL(filePath: "/dev/zero")
        )
        #expect(try folder.list().isEmpty)
        var store = try SpoolStore(storage: folder, robot: "r1", boot: "b1", limits: .init())
        #expect(store.nextBatch(limit: 10) == nil && store.losses.total == 0)
    }
}
