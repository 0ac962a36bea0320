import ArgumentParser
import Foundation
import GrootCore

/// `groot-agent compare`: the same scenes in each mode, and the table of what came of it.
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Run the same seeds in each mode and print success, duration, starvation, age, jitter and jerk.",
        discussion: "Takes every flag of run; --episodes counts per mode and --seed is the first scene of each."
    )

    @OptionGroup var flags: RunFlags

    @Option(help: "Modes to compare, separated by commas.")
    var modes = "sync,async,rtc"

    func run() async throws {
        var base = try flags.checked(arguments: FlagSpelling.normalised(Array(CommandLine.arguments.dropFirst()))).get()
        var wanted: [RequestPlanner.Mode] = []
        for name in modes.split(separator: ",") {
            guard let mode = RequestPlanner.Mode(rawValue: String(name)) else {
                throw RunFlags.Problems(lines: ["--modes \(name): expected async, sync or rtc"])
            }
            wanted.append(mode)
        }
        if base.seed == nil { base.seed = 1 }
        // The mode is what is compared; the fleet must not choose it.
        base.explicitFlags.insert("mode")
        var columns: [(name: String, reports: [EpisodeReport])] = []
        for mode in wanted {
            base.mode = mode
            let reports = ReportCollection()
            let exit = await AgentRun(configuration: base, reports: reports).run()
            columns.append((mode.rawValue, reports.all))
            guard exit == .ok, reports.all.count >= base.episodes else {
                print(ModeTable.markdown(columns))
                throw ExitCode(exit == .ok ? ProcessExit.failed.rawValue : exit.rawValue)
            }
        }
        print(ModeTable.markdown(columns))
    }
}

/// The guide's comparison of modes, with measurements in place of adjectives.
enum ModeTable {
    private typealias Row = (name: String, value: @Sendable ([EpisodeReport]) -> String)

    private static let rows: [Row] = [
        ("success", { reports in "\(reports.count { $0.verdict.outcome.isSuccess })/\(reports.count)" }),
        ("duration, median s", { text(median($0.map(\.verdict.duration.seconds)), 1) }),
        ("control ticks", { "\($0.reduce(0) { $0 + $1.counters.ticks })" }),
        ("starved ticks", { "\($0.reduce(0) { $0 + $1.counters.starvedTicks })" }),
        (
            "observation age when its action executes, mean ms",
            { text(mean($0.compactMap { $0.observationAge?.milliseconds }), 0) }
        ),
        ("capture to merge, p50 ms", { text(quantile($0.flatMap(\.tally.latencies).map(\.milliseconds), 0.5), 0) }),
        ("capture to merge, p99 ms", { text(quantile($0.flatMap(\.tally.latencies).map(\.milliseconds), 0.99), 0) }),
        (
            "runway at arrival, p5 ms",
            { text(quantile($0.flatMap(\.tally.runwaysAtArrival).map(\.milliseconds), 0.05), 0) }
        ),
        ("control period jitter, p99 ms", { text(quantile($0.map(\.jitterP99.milliseconds), 0.5), 2) }),
        ("missed cycles", { "\($0.reduce(0) { $0 + $1.counters.missedCycles })" }),
        (
            "jerk at chunk borders (step of joint speed within a tick), p95 rad/s",
            { text(quantile($0.flatMap(\.tally.borderSteps).map(Double.init), 0.95), 2) }
        ),
        ("requests", { "\($0.reduce(0) { $0 + $1.tally.observations })" }),
    ]

    static func markdown(_ columns: [(name: String, reports: [EpisodeReport])]) -> String {
        var lines = ["| measured | " + columns.map(\.name).joined(separator: " | ") + " |"]
        lines.append("|---" + String(repeating: "|---", count: columns.count) + "|")
        for row in rows {
            let cells = columns.map { $0.reports.isEmpty ? "-" : row.value($0.reports) }
            lines.append("| \(row.name) | " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }

    private static func quantile(_ values: [Double], _ share: Double) -> Double? {
        UplinkTally.quantile(values, share)
    }

    private static func median(_ values: [Double]) -> Double? { quantile(values, 0.5) }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    private static func text(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }
}
