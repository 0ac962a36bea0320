import Foundation
import GRPCCore
import GrootAPI
import GrootTesting
import Logging
import Testing

@testable import RobotAgent

/// The spool on a disk that is really full: a file system of 256 kB, where this process may mount one.
struct FullDiskTests {
    /// A small file system, unmounted when the test lets go.
    private final class SmallDisk {
        let directory: TemporaryDirectory
        private let isMounted: Bool

        init?() throws {
            directory = try TemporaryDirectory(prefix: "groot-full")
            isMounted = try Self.run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", directory.url.path)
            if !isMounted { return nil }
        }

        deinit {
            if isMounted { _ = try? Self.run("umount", "-l", directory.url.path) }
        }

        private static func run(_ arguments: String...) throws -> Bool {
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = arguments
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus == 0
        }
    }

    private static let mayMount: Bool = {
        // A refusal is an answer.
        (try? SmallDisk()) ?? nil != nil
    }()

    @Test(.enabled(if: mayMount, "this process may not mount file systems"))
    func episodesSurviveAndEveryRecordIsKeptOrCounted() async throws {
        let disk = try #require(try SmallDisk())
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let limits = SpoolState.Limits(segmentBytes: 16 << 10)
        var spool: TelemetrySpool? = try TelemetrySpool(
            directory: disk.directory.url.appending(path: "spool"),
            robot: "r1",
            boot: "b1",
            limits: limits,
            logger: logger
        )
        var event = Groot_V1_Event()
        event.message = String(repeating: "x", count: 200)
        for round in 0..<40 {
            var finish = Groot_V1_FinishEpisodeRequest()
            finish.episodeID = "e\(round)"
            await spool?.append(finish)
            for _ in 0..<50 { await spool?.append(event) }
        }
        let lost = try #require(spool?.losses)
        #expect(lost.events > 0 && lost.episodes == 0)
        #expect(lost.total == lost.events)
        let waiting = await spool?.waitingCount
        // The agent is killed, the disk is still full.
        spool = nil

        let ledger = SpoolReceiver()
        let next = try TelemetrySpool(
            directory: disk.directory.url.appending(path: "spool"),
            robot: "r1",
            boot: "b2",
            limits: limits,
            logger: logger
        )
        #expect(await next.waitingCount == waiting)
        let sending = Task { await next.run(to: ledger) }
        defer { sending.cancel() }
        try await eventually(within: .seconds(30), "what was kept arrives") { await next.waitingCount == 0 }
        let received = await ledger.received
        #expect(received.episodes == (0..<40).map { "e\($0)" })
        try #require(received.events.count + Int(lost.events) == 2000)
        #expect(received.events == Set((2000 - UInt64(received.events.count) + 1)...2000), "the oldest went")
        #expect(received.droppedEvents == lost.events)
    }
}

/// Keeps what it is told.
private actor SpoolReceiver: FleetReporting {
    struct Received {
        var episodes: [String] = []
        var events: Set<UInt64> = []
        var droppedEvents: UInt64 = 0
    }

    private(set) var received = Received()

    func register(_ request: Groot_V1_RegisterRobotRequest) async throws {}
    func start(_ request: Groot_V1_StartEpisodeRequest) async throws {}
    func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws { received.episodes.append(request.episodeID) }
    func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 {
        received.events.formUnion(request.events.map(\.sequence))
        received.droppedEvents = max(received.droppedEvents, request.drops.events)
        return request.events.last?.sequence ?? 0
    }
}
