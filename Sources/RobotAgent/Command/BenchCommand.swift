import ArgumentParser
import Foundation
import Glibc
import GrootCore
import Histogram
import Logging
import ROS1
import Synchronization

/// `groot-agent bench`: the control thread alone, fed with chunks, for jitter and cost. Commands go nowhere, or with
/// `--ros-master` to whoever subscribes to the robot's command topics, as in a run.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Run the control thread without a robot and print its jitter as JSON.",
        shouldDisplay: false
    )

    @Option(help: "Seconds to measure.")
    var seconds = 10

    @Flag(help: "Do not ask for real-time scheduling and locked memory.")
    var noRealtime = false

    @Option(help: "Processor that the control thread stays on.")
    var controlCpu: Int?

    @Option(help: "Master whose subscribers of the command topics get the commands; waits for one. Never a robot's.")
    var rosMaster: String?

    private static let subscriberTime = Duration.seconds(30)
    /// Of the chunks that it makes: as groot-mini's.
    private static let rows = 16
    private static let rowPeriod = Duration.milliseconds(100)

    private struct Result: Encodable {
        var ticks: Int
        var missedCycles: UInt64
        var starvedTicks: UInt64
        var published: UInt64
        /// Messages that a subscriber was too slow for.
        var leftOut: UInt64
        /// Distance of the time between two cycles from the tick: what the robot notices.
        var p50Us: Double
        var p99Us: Double
        var p999Us: Double
        var maxUs: Double
        /// Distance of a cycle from its deadline on the absolute grid.
        var latenessP50Us: Double
        var latenessP99Us: Double
        var latenessMaxUs: Double
        var cpuPercent: Double
        var residentMiB: Double
    }

    func run() async throws {
        let profile = try ProfileCatalog.load("simulator")
        let names = profile.controlNames(for: profile.actionNames)
        let pose = profile.arm.homeRad + profile.claws.map { _ in profile.claw.open }
        var settings = RealTimeSettings()
        settings.isWanted = !noRealtime
        settings.cpu = controlCpu
        let sink = Sink()
        let robot = try await commandTopics(of: profile)
        let control = ControlThread(
            machine: SessionMachine(
                .init(
                    queue: .init(
                        dimensions: names.count,
                        claws: profile.claws,
                        maximumRows: Self.rows,
                        rate: profile.rate,
                        period: Self.rowPeriod,
                        blendTicks: profile.rate.ticks(covering: EpisodeTuning.defaultBlend)
                    ),
                    limits: SafetyGate.Limits(profile, dimensions: names.count),
                    home: profile.arm.homeRad,
                    homingVelocity: profile.arm.homingVelocityRadS
                )
            ),
            settings: settings,
            logger: Logger(label: "bench"),
            sense: { _, inputs in
                inputs.stateAge = .milliseconds(2)
                inputs.isMeasured = true
                for index in pose.indices { inputs.measured[index] = pose[index] }
            },
            publish: { command in
                sink.took(command)
                robot?.commands.publish(command)
            }
        )
        try control.start()
        control.requests.push(.beginEpisode())
        var lateness = Histogram<UInt64>(highestTrackableValue: 10_000_000_000, numberOfSignificantValueDigits: .three)
        var jitter = lateness
        var previous: Int64?
        let cpu = Self.processorSeconds()
        let start = MonotonicInstant.now()
        var nextChunk = start
        var id: UInt64 = 0
        while MonotonicInstant.now() - start < .seconds(seconds) {
            if MonotonicInstant.now() >= nextChunk {
                id += 1
                control.requests.push(
                    .merge(try Self.chunk(id, profile, names: names, pose: pose, clock: control.clock))
                )
                nextChunk = nextChunk + .milliseconds(800)
            }
            while control.merges.pop() != nil {}
            while let trace = control.traces.pop() {
                lateness.record(UInt64(max(0, trace.latenessNanoseconds)))
                // A cycle that is more than a period late has swallowed the next ones; their deadlines are behind it.
                if let previous { jitter.record(UInt64(abs(trace.latenessNanoseconds - previous))) }
                previous = trace.latenessNanoseconds % control.clock.tick.nanoseconds
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let spent = Self.processorSeconds() - cpu
        let counters = control.status.peek()?.counters ?? EpisodeCounters()
        control.requests.push(.leave)
        while let phase = control.status.peek()?.phase, phase != .leaving {
            try await Task.sleep(for: .milliseconds(5))
        }
        control.shutdown()
        func micro(_ percentile: Double, of histogram: Histogram<UInt64>) -> Double {
            Double(histogram.valueAtPercentile(percentile)) / 1000
        }
        let result = Result(
            ticks: Int(lateness.totalCount),
            missedCycles: counters.missedCycles,
            starvedTicks: counters.starvedTicks,
            published: sink.count,
            leftOut: robot?.commands.leftOutCount ?? 0,
            p50Us: micro(50, of: jitter),
            p99Us: micro(99, of: jitter),
            p999Us: micro(99.9, of: jitter),
            maxUs: Double(jitter.max) / 1000,
            latenessP50Us: micro(50, of: lateness),
            latenessP99Us: micro(99, of: lateness),
            latenessMaxUs: Double(lateness.max) / 1000,
            cpuPercent: 100 * spent / Double(seconds),
            residentMiB: Self.residentMiB()
        )
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
        await robot?.node.shutdown()
    }

    /// The robot's command topics on `--ros-master`, with a subscriber.
    private func commandTopics(of profile: RobotProfile) async throws -> (node: ROSNode, commands: CommandPublisher)? {
        guard let rosMaster else { return nil }
        let node = ROSNode(name: "/groot_bench", masterURI: rosMaster, logger: Logger(label: "bench"))
        try await node.start()
        let commands = try await CommandPublisher(profile: profile, commandsBase: false, node: node, tap: nil)
        let limit = MonotonicInstant.now() + Self.subscriberTime
        while commands.armSubscriberCount == 0 {
            guard MonotonicInstant.now() < limit else {
                throw AgentError(
                    .unavailable,
                    "nobody subscribed to \(profile.topics.armCommand) within \(Self.subscriberTime.seconds) s"
                )
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return (node, commands)
    }

    /// Counts the commands that were due.
    private final class Sink: Sendable {
        private let published = Atomic<UInt64>(0)

        var count: UInt64 { published.load(ordering: .relaxed) }

        func took(_ command: [Float]) {
            published.add(command.isEmpty ? 0 : 1, ordering: .relaxed)
        }
    }

    /// A slow swing of all joints, captured a row ago.
    private static func chunk(
        _ id: UInt64,
        _ profile: RobotProfile,
        names: [String],
        pose: [Float],
        clock: ControlClock
    ) throws -> ChunkArrival {
        var values: [Float] = []
        for row in 0..<rows {
            let swing = 0.1 * Float(sin(Double(id) * 0.8 + Double(row) * 0.1))
            for (index, value) in pose.enumerated() {
                values.append(profile.armJoints.contains(index) ? value + swing : value)
            }
        }
        guard let chunk = ActionChunk(names: names, rows: rows, values: values, period: rowPeriod) else {
            throw AgentError(.usage, "the chunk's size is inconsistent")
        }
        let age = Int64(profile.rate.ticks(covering: rowPeriod))
        return ChunkArrival(id: id, chunk: chunk, capturedTick: clock.tick(of: .now()) - age)
    }

    /// Time that all threads of this process have used.
    private static func processorSeconds() -> Double {
        Double(clock()) / Double(CLOCKS_PER_SEC)
    }

    private static func residentMiB() -> Double {
        // /proc is there on every Linux; a missing number is shown as 0.
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        return pages * 4096 / 1_048_576
    }
}
