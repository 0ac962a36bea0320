import ArgumentParser
import Foundation
import GrootCore

/// `groot-gateway simulate`: how many robots do these workers carry?
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Capacity planning: starved control ticks of N robots on M workers, in virtual time.",
        discussion: """
            Runs this gateway's scheduler against simulated robots and workers. Give the batch times of your checkpoint \
            (groot-worker describe prints them). The same seed gives the same numbers.
            """
    )

    @Option(help: "Numbers of robots, comma-separated (default 12,16,20,24,32).")
    var robots: String?

    @Option(help: "Number of workers (default 2).")
    var workers: Int?

    @Option(help: "Largest batch of a worker (default 8).")
    var maxBatch: Int?

    @Option(help: "Milliseconds of a batch, whatever its size (default 35).")
    var baseMs: Double?

    @Option(help: "Milliseconds that each request adds to its batch (default 15).")
    var perRequestMs: Double?

    @Option(help: "Share by which batch times vary (default 0).")
    var jitter: Double?

    @Option(help: "Milliseconds from robot to gateway, one way (default 2).")
    var networkMs: Double?

    @Option(help: "Actions in a chunk, comma-separated; robots take them in turn (default 16,50).")
    var chunks: String?

    @Option(help: "Actions per second (default 30).")
    var controlHz: Int?

    @Option(help: "A robot asks when this share of a chunk is left (default 0.5).")
    var threshold: Double?

    @Option(
        help: """
            Instead of robots: so many requests a second that arrive by chance, at workers that take --worker-ms each \
            and one request at a time; prints the time to an answer for every way to choose a worker.
            """
    )
    var arrivals: Double?

    @Option(help: "With --arrivals: milliseconds that each worker takes, comma-separated (default 8,24).")
    var workerMs: String?

    @Option(help: "Simulated seconds (default 60).")
    var seconds: Int?

    @Option(help: "Seed (default 1).")
    var seed: UInt64?

    @Option(help: "One policy instead of all: \(SimulatedPolicy.all.map(\.name).joined(separator: ", ")).")
    var only: String?

    @Flag(help: "Print one JSON object per run.")
    var json = false

    func validate() throws {
        _ = try plan()
        _ = try arrivalPlan()
    }

    func run() throws {
        if let configuration = try arrivalPlan() {
            try printArrivals(configuration)
            return
        }
        let (configurations, policies) = try plan()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            for policy in policies {
                for configuration in configurations {
                    print(
                        String(decoding: try encoder.encode(FleetSimulation.run(configuration, policy)), as: UTF8.self)
                    )
                }
            }
            return
        }
        print("Starved control ticks in percent (worst robot in brackets), by number of robots:")
        let head = configurations.map { "\($0.robots)" }
        print(Self.row("policy", head))
        for policy in policies {
            let cells = configurations.map { configuration in
                let report = FleetSimulation.run(configuration, policy)
                return "\(report.starvedPercent) (\(report.worstRobotPercent))"
            }
            print(Self.row(policy.name, cells))
        }
        print("")
        for policy in policies { print("\(policy.name): \(policy.text)") }
    }

    func plan() throws -> ([SimulationConfiguration], [SimulatedPolicy]) {
        var problems: [String] = []
        func numbers(_ text: String, _ option: String, _ range: ClosedRange<Int>) -> [Int] {
            text.split(separator: ",").compactMap { part in
                guard let number = Int(part), range.contains(number) else {
                    problems.append(
                        "\(option): \"\(part)\" is no number from \(range.lowerBound) to \(range.upperBound)"
                    )
                    return nil
                }
                return number
            }
        }
        func check<Value: Comparable>(_ value: Value, _ option: String, _ range: ClosedRange<Value>) -> Value {
            if !range.contains(value) {
                problems.append("\(option): \(value) is not from \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
        var base = SimulationConfiguration()
        base.workers = check(workers ?? base.workers, "--workers", 1...256)
        base.maxBatch = check(maxBatch ?? base.maxBatch, "--max-batch", 1...64)
        base.base = .nanoseconds(Int64(check(baseMs ?? 35, "--base-ms", 0...60_000) * 1e6))
        base.perRequest = .nanoseconds(Int64(check(perRequestMs ?? 15, "--per-request-ms", 0.001...60_000) * 1e6))
        base.jitter = check(jitter ?? 0, "--jitter", 0...0.9)
        base.networkDelay = .nanoseconds(Int64(check(networkMs ?? 2, "--network-ms", 0...10_000) * 1e6))
        base.chunks = numbers(chunks ?? "16,50", "--chunks", 1...10_000)
        base.controlRate = check(controlHz ?? base.controlRate, "--control-hz", 1...1000)
        base.threshold = check(threshold ?? base.threshold, "--threshold", 0...1)
        base.duration = .seconds(check(seconds ?? 60, "--seconds", 1...3600))
        base.seed = seed ?? 1
        let counts = numbers(robots ?? "12,16,20,24,32", "--robots", 1...10_000)
        let policies = SimulatedPolicy.all.filter { only == nil || $0.name == only }
        if policies.isEmpty { problems.append("--only: there is no policy \"\(only ?? "")\"") }
        if counts.isEmpty { problems.append("--robots: is empty") }
        if base.chunks.isEmpty { problems.append("--chunks: is empty") }
        guard problems.isEmpty else { throw ValidationError(problems.joined(separator: "\n")) }
        return (
            counts.map { count in
                var configuration = base
                configuration.robots = count
                return configuration
            }, policies
        )
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        name.padding(toLength: 24, withPad: " ", startingAt: 0)
            + cells.map { $0.padding(toLength: 15, withPad: " ", startingAt: 0) }.joined()
    }
}
