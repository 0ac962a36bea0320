import ArgumentParser
import GrootCore
import Testing

@testable import Gateway

/// The scheduler in a fleet of simulated robots and workers: what docs/scheduling.md promises, in virtual time.
struct SimulationSerialTests {
    private func starved(_ policy: String, _ robots: Int, seed: UInt64 = 1) throws -> SimulationReport {
        var configuration = SimulationConfiguration()
        configuration.robots = robots
        configuration.seed = seed
        configuration.duration = .seconds(30)
        return FleetSimulation.run(configuration, try #require(SimulatedPolicy.all.first { $0.name == policy }))
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func inPlaceAndBatchedIsBest(seed: UInt64) throws {
        let ours = try starved("in-place-batched", 32, seed: seed)
        #expect(ours.starvedPercent <= 0.1, "\(ours)")
        let inPlace = try starved("in-place", 32, seed: seed).starvedPercent
        let least = try starved("least-request", 32, seed: seed).starvedPercent
        let tail = try starved("newest-to-tail", 32, seed: seed).starvedPercent
        #expect(try starved("fifo", 12, seed: seed).starvedPercent > 95)
        #expect(
            inPlace > 10 && inPlace < 30 && inPlace < least - 15 && inPlace < tail - 5,
            "\(inPlace) \(least) \(tail)"
        )
    }

    @Test
    func generalProxiesFailBetweenSixteenAndTwentyFourRobots() throws {
        #expect(try starved("least-request", 12).starvedPercent < 1)
        #expect(try starved("least-request", 24).starvedPercent > 25)
        #expect(try starved("in-place", 16).starvedPercent < 1)
        #expect(try starved("in-place-batched-unary", 24).starvedPercent < 0.5)
    }

    @Test
    func overloadFallsOnAllAndStarvesNobodyWholly() throws {
        let report = try starved("in-place-batched", 96)
        #expect(report.starvedPercent > 20)
        #expect(report.robotsWithoutChunk == 0 && report.worstRobotPercent < 90, "\(report)")
        #expect(report.batchFill > 7.5, "overload is the time for full batches")
    }

    @Test
    func aWorkersDeathCostsLittle() throws {
        var configuration = SimulationConfiguration()
        configuration.robots = 12
        configuration.outage = (.seconds(20), .seconds(5))
        let policy = try #require(SimulatedPolicy.all.first { $0.name == "in-place-batched-unary" })
        let report = FleetSimulation.run(configuration, policy)
        #expect(report.starvedPercent < 1 && report.robotsWithoutChunk == 0, "\(report)")
    }

    @Test
    func theSameSeedGivesTheSameReport() throws {
        #expect(try starved("in-place-batched", 20, seed: 7) == starved("in-place-batched", 20, seed: 7))
    }

    /// Workers of 8 and 24 ms at 60 % load: as good as somebody who knows when each worker is free, whether they report
    /// their load (then requests wait in the gateway) or say nothing.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func unequalWorkersAreAsGoodAsCanBe(seed: UInt64) throws {
        var configuration = ArrivalSimulation.Configuration(workers: [0.008, 0.024], rate: 100)
        configuration.duration = .seconds(120)
        configuration.seed = seed
        func report(_ name: String) throws -> ArrivalSimulation.Report {
            ArrivalSimulation.run(configuration, try #require(ArrivalSimulation.Chooser.all.first { $0.name == name }))
        }
        let best = try report("clairvoyant")
        for ours in [try report("expected-delay"), try report("expected-delay, reports")] {
            #expect(ours.p99 <= 45 && ours.p99 <= best.p99 * 1.05 && ours.p90 <= best.p90 * 1.05, "\(ours) \(best)")
        }
        let least = try report("least-request")
        #expect(least.p99 > 60 && least.p90 > 38, "\(least)")
        #expect(try report("expected-delay") == report("expected-delay"))
    }

    @Test
    func badNumbersAreAUsageErrorThatNamesThemAll() throws {
        let command = try SimulateCommand.parse(["--robots", "8", "--seconds", "1", "--only", "in-place"])
        #expect(try command.plan().0.map(\.robots) == [8])
        let error = #expect(throws: (any Error).self) {
            try SimulateCommand.parse(["--robots", "0,x", "--jitter", "2", "--only", "magic"])
        }
        let text = error.map { SimulateCommand.fullMessage(for: $0) } ?? ""
        for part in ["\"0\"", "\"x\"", "--jitter", "magic"] { #expect(text.contains(part)) }
        for (arguments, part) in [
            (["--worker-ms", "8"], "--arrivals"), (["--arrivals", "0"], "--arrivals"),
            (["--arrivals", "10", "--worker-ms", "8,x"], "--worker-ms"), (["--arrivals", "900"], "no more than 166"),
        ] {
            let error = #expect(throws: (any Error).self) { try SimulateCommand.parse(arguments) }
            #expect(error.map { SimulateCommand.fullMessage(for: $0) }?.contains(part) == true, "\(arguments)")
        }
    }
}
