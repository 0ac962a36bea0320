import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import Synchronization
import Testing

@testable import RobotAgent

/// A control plane that keeps what it commits, and can be down, forgetful or picky. Any thread.
private final class Ledger: FleetReporting {
    struct State {
        var isDown = false
        /// Commits, but the answer does not arrive.
        var losesAnswers = false
        var poison: Set<UInt64> = []
        var refusesStarts = false
        var calls = 0
        var committed: [String: Set<UInt64>] = [:]
        var inferences = 0
        var samples = 0
        var events = 0
        var finished: [String] = []
        var drops = Groot_V1_TelemetryDrops()
    }

    let state = Mutex(State())

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    var now: State { state.withLock { $0 } }

    func register(_ request: Groot_V1_RegisterRobotRequest) async throws { try answer { _ in } }
    func start(_ request: Groot_V1_StartEpisodeRequest) async throws {
        try answer { if $0.refusesStarts { throw RPCError(code: .failedPrecondition, message: "another robot's") } }
    }
    func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws {
        try answer { if !$0.finished.contains(request.episodeID) { $0.finished.append(request.episodeID) } }
    }
    func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 {
        let sequences =
            request.inferences.map(\.sequence) + request.controlSamples.map(\.sequence) + request.events.map(\.sequence)
        try answer { state in
            guard state.poison.isDisjoint(with: sequences) else {
                throw RPCError(code: .invalidArgument, message: "inferences[0].status: must not be empty")
            }
            let new = Set(sequences).subtracting(state.committed[request.boot, default: []])
            state.committed[request.boot, default: []].formUnion(new)
            state.inferences += request.inferences.count { new.contains($0.sequence) }
            state.samples += request.controlSamples.count { new.contains($0.sequence) }
            state.events += request.events.count { new.contains($0.sequence) }
            if request.hasDrops { state.drops = request.drops }
        }
        return sequences.max() ?? 0
    }

    private func answer(_ change: (inout State) throws -> Void) throws {
        try state.withLock { state in
            state.calls += 1
            if state.isDown { throw RPCError(code: .unavailable, message: "down") }
            try change(&state)
            if state.losesAnswers { throw RPCError(code: .deadlineExceeded, message: "no answer") }
        }
    }
}

struct TelemetrySpoolTests {
    private let quiet: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    private func spool(_ folder: any SpoolStorage, boot: String = "b1") throws -> TelemetrySpool {
        try TelemetrySpool(storage: folder, robot: "r1", boot: boot, logger: quiet)
    }

    private func running(_ spool: TelemetrySpool, to ledger: Ledger, _ body: () async throws -> Void) async throws {
        let sending = Task { await spool.run(to: ledger) }
        defer { sending.cancel() }
        try await body()
    }

    private func finish(_ episode: String) -> Groot_V1_FinishEpisodeRequest {
        var request = Groot_V1_FinishEpisodeRequest()
        request.episodeID = episode
        return request
    }

    @Test(.timeLimit(.minutes(1)))
    func everyKindArrivesOnceThroughAnOutageAndLostAnswers() async throws {
        let ledger = Ledger()
        ledger.set { $0.isDown = true }
        let folder = MemoryFolder()
        let spool = try spool(folder)
        try await running(spool, to: ledger) {
            await spool.append(Groot_V1_RegisterRobotRequest())
            await spool.append(Groot_V1_StartEpisodeRequest())
            for _ in 0..<300 {
                await spool.append(Groot_V1_InferenceRecord())
                await spool.append(Groot_V1_ControlSample())
                await spool.append(Groot_V1_Event())
            }
            await spool.append(finish("e1"))
            try await eventually("it tries") { ledger.now.calls > 1 }
            #expect(await spool.waitingCount == 903)
            ledger.set {
                $0.isDown = false
                $0.losesAnswers = true
            }
            try await eventually("something is committed, unknown to the agent") { ledger.now.calls > 4 }
            ledger.set { $0.losesAnswers = false }
            try await eventually(within: .seconds(30), "all of it arrives") { await spool.waitingCount == 0 }
        }
        let state = ledger.now
        #expect(state.committed == ["b1": Set(1...900)])
        #expect(state.inferences == 300 && state.samples == 300 && state.events == 300)
        #expect(state.finished == ["e1"])
        #expect(spool.losses.total == 0)
        await spool.close()
        #expect(folder.files.isEmpty)
    }

    @Test(.timeLimit(.minutes(1)))
    func whatIsRefusedForGoodDoesNotHoldUpTheRest() async throws {
        let ledger = Ledger()
        ledger.set {
            $0.poison = [17, 18, 600]
            $0.refusesStarts = true
        }
        let spool = try spool(MemoryFolder())
        await spool.append(Groot_V1_StartEpisodeRequest())
        for _ in 0..<1000 { await spool.append(Groot_V1_InferenceRecord()) }
        await spool.append(finish("e1"))
        try await running(spool, to: ledger) {
            try await eventually(within: .seconds(30), "the rest arrives") { await spool.waitingCount == 0 }
        }
        #expect(ledger.now.committed["b1"] == Set(1...1000).subtracting([17, 18, 600]))
        #expect(ledger.now.finished == ["e1"])
        #expect(spool.losses.refused == 4)
        #expect(ledger.now.drops.refused == 4, "the control plane knows how many are missing")
    }

    @Test(.timeLimit(.minutes(1)))
    func lossesOnAFullDiskReachTheControlPlane() async throws {
        let ledger = Ledger()
        let folder = MemoryFolder()
        let spool = try TelemetrySpool(
            storage: folder,
            robot: "r1",
            boot: "b1",
            limits: .init(segmentBytes: 1000),
            logger: quiet
        )
        folder.capacity = 5000
        for _ in 0..<1000 { await spool.append(Groot_V1_ControlSample()) }
        await spool.append(finish("e1"))
        let lost = spool.losses.controlSamples
        #expect(lost > 500)
        try await running(spool, to: ledger) {
            try await eventually(within: .seconds(30), "what is left arrives") { await spool.waitingCount == 0 }
        }
        let state = ledger.now
        #expect(state.drops.controlSamples == lost)
        #expect(state.samples + Int(lost) == 1000, "every sample is accounted for")
        #expect(state.finished == ["e1"])
    }

    @Test(.timeLimit(.minutes(1)))
    func metricsSayHowFullAndWhatWasLost() async throws {
        let folder = MemoryFolder()
        let metrics = MetricsRegistry()
        let spool = try TelemetrySpool(storage: folder, robot: "r1", boot: "b1", metrics: metrics, logger: quiet)
        await spool.append(Groot_V1_Event())
        folder.capacity = 0
        await spool.append(Groot_V1_Event())
        // The full disk cost the first one, and there was still no room.
        let text = metrics.render()
        #expect(text.contains("groot_agent_spool_lost_total{kind=\"event\"} 2"))
        #expect(text.contains("groot_agent_spool_bytes 0"))
        #expect(text.contains("groot_agent_spool_waiting 0"))
    }
}
