import Foundation
import GrootCore
import Testing

@testable import RobotAgent

/// Chunks that groot-mini answered in three episodes of the simulator, through session machine, queue and gate with the limits of
/// the real 5-W: how often the gate has to change a command.
struct RecordedChunksTests {
    private struct Recording: Decodable {
        struct Episode: Decodable {
            var seed: Int
            var chunks: [Chunk]
        }

        struct Chunk: Decodable {
            var capturedS: Double
            var state: [Float]
            var rows: [[Float]]
        }

        var episodes: [Episode]
    }

    private static let rowPeriod = Duration.milliseconds(100)
    private static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Fixtures/groot-mini-chunks.json")

    private func recording() throws -> Recording {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Recording.self, from: Data(contentsOf: Self.file))
    }

    /// Plays an episode; a chunk arrives `latency` after its capture.
    private func play(
        _ episode: Recording.Episode,
        latency: Duration,
        tuning: EpisodeTuning = EpisodeTuning(),
        hertz: Int? = nil
    ) throws -> EpisodeCounters {
        var profile = try ProfileCatalog.load("5_wheel")
        profile.controlRateHz = hertz ?? profile.controlRateHz
        let rate = profile.rate
        let names = profile.controlNames(for: profile.actionNames.filter { !$0.contains("eef") })
        var machine = SessionMachine(
            .init(
                queue: .init(
                    dimensions: names.count,
                    claws: profile.claws,
                    maximumRows: 16,
                    rate: rate,
                    period: Self.rowPeriod,
                    blendTicks: 1
                ),
                // Nobody follows these commands.
                limits: SafetyGate.Limits(profile, dimensions: names.count, isPublishing: false),
                home: profile.arm.homeRad,
                homingVelocity: profile.arm.homingVelocityRadS
            )
        )
        var inputs = ControlInputs(dimensions: names.count, arms: profile.armJoints)
        inputs.stateAge = .milliseconds(2)
        inputs.isMeasured = true
        inputs.measured = try #require(episode.chunks.first).state
        _ = machine.requested(.beginEpisode(tuning), at: 0, inputs)
        var arrivals = episode.chunks
        let delay = Int64(rate.ticks(covering: latency))
        let end = Int64(rate.ticks(covering: Self.rowPeriod * 8 * (episode.chunks.count + 1)))
        var tick: Int64 = 0
        while tick < end {
            if let next = arrivals.first,
                Int64(rate.ticks(covering: .milliseconds(Int64(next.capturedS * 1000)))) + delay == tick
            {
                arrivals.removeFirst()
                let chunk = try #require(
                    ActionChunk(names: names, rows: 16, values: next.rows.flatMap { $0 }, period: Self.rowPeriod)
                )
                let arrival = ChunkArrival(id: UInt64(tick), chunk: chunk, capturedTick: tick - delay)
                let report = machine.requested(.merge(arrival), at: tick, inputs)
                guard case .applied? = report?.result else {
                    Issue.record(
                        "chunk captured at \(next.capturedS) s of seed \(episode.seed): \(report.debugDescription)"
                    )
                    break
                }
            }
            if machine.ticked(tick, elapsed: 1, inputs) { inputs.measured = machine.command }
            tick += 1
        }
        #expect(machine.status(at: tick).fault == nil)
        return machine.status(at: tick).counters
    }

    private func share(_ counters: EpisodeCounters) -> Double {
        Double(counters.limitedTicks) / Double(counters.ticks)
    }

    @Test(arguments: [100, 150, 250, 400])
    func theGateHasLittleToDoWithTheRealLimits(latency: Int) throws {
        for episode in try recording().episodes {
            let counters = try play(episode, latency: .milliseconds(latency))
            #expect(counters.ticks > 400)
            #expect(share(counters) < 0.05, "seed \(episode.seed), \(latency) ms: \(counters)")
        }
    }

    /// The curve is the same at every control rate, so the gate is no busier.
    @Test(arguments: [50, 125, 250, 500])
    func everyControlRateIsAsGentle(hertz: Int) throws {
        for episode in try recording().episodes {
            let counters = try play(episode, latency: .milliseconds(200), hertz: hertz)
            #expect(counters.ticks > 4 * UInt64(hertz))
            #expect(share(counters) < 0.05, "seed \(episode.seed), \(hertz) Hz: \(counters)")
        }
    }

    /// The same chunks without a take-over: the tests above measure something.
    @Test func withoutATakeOverTheGateIsBusy() throws {
        var tuning = EpisodeTuning()
        tuning.blend = .zero
        tuning.aggregate = .latestOnly
        let episode = try #require(try recording().episodes.first)
        let counters = try play(episode, latency: .milliseconds(250), tuning: tuning)
        #expect(share(counters) > 0.1)
    }
}
