package import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import GrootSecurity

/// Flags of `groot-agent`. Everything is checked before anything starts; all problems come at once.
package struct AgentCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "groot-agent",
        abstract:
            "Drives one robot: observations to the gateway, action chunks to the arms, 100 Hz, through a safety gate.",
        discussion: """
            Flags may be written with - or _. Arms move as soon as the robot is ready: stand clear.
            On a real robot's terminal: s + Enter ends the episode as a success, f as a failure, q stops the run.
            """
    )

    @Option(name: [.customLong("robot")], help: "Name of this robot: letters, digits, _ and -.")
    var robot: String

    @Option(name: [.customLong("task"), .customLong("task-description")], help: "What to do, in a sentence.")
    var task = "Depalletize the box"

    @Option(name: [.customLong("gateway"), .customLong("server-address")], help: "Gateway address.")
    var gateway = "127.0.0.1:\(DefaultPort.gateway)"

    @Option(
        name: [.customLong("checkpoint"), .customLong("ckpt-path")],
        help: "Checkpoint to ask for, by name or path. Default: the one that the workers serve."
    )
    var checkpoint: String?

    @Option(help: "Rows used of each chunk. Default and maximum: the checkpoint's chunk size.")
    var actionChunkSize: Int?

    @Option(
        help: """
            Ask for a new chunk when less than this share of a chunk's motion time is left unexecuted. \
            Larger asks earlier and more often.
            """
    )
    var chunkSizeThreshold = 0.5

    @Option(
        name: [.customLong("aggregate-fn"), .customLong("aggregate-fn-name")],
        help: "How overlapping arm targets combine: weighted_average, latest_only, average, conservative."
    )
    var aggregateFn = AggregateFunction.weightedAverage.rawValue

    @Option(help: "Milliseconds over which a new chunk takes over from the one being executed.")
    var blendMs = 200

    @Option(help: "async: infer while moving. sync: infer when nothing is left and stand still meanwhile.")
    var mode = RequestPlanner.Mode.async.rawValue

    @Option(help: "Control rate in Hz. Fixed at 100 by the robot; the model's own 10 Hz comes from the checkpoint.")
    var fps = 100.0

    @Option(help: "Robot profile: auto, simulator, 5_wheel or a JSON file.")
    var profile = "auto"

    @Flag(help: "Turn the head camera's image by 180 degrees.")
    var rotateHeadCamera = false

    @Option(help: "ROS master URI. Default: ROS_MASTER_URI, else http://127.0.0.1:\(DefaultPort.rosMaster).")
    var rosMaster: String?

    @Option(help: "Address that other ROS nodes reach this process at. Default: ROS_IP, else 127.0.0.1.")
    var rosHost: String?

    @Option(help: "Address for /livez, /readyz and /metrics. Default: off.")
    var admin: String?

    @Option(help: "Where unsent telemetry is kept. Default: ./.state/agent-ROBOT.")
    var stateDir: String?

    @Option(help: "Episodes to run.")
    var episodes = 1

    @Option(help: "Seed of the first simulated scene; the next episode takes the next one.")
    var seed: Int64?

    @Option(help: "Longest episode, e.g. 20s. Default: 20s on a robot, 45s in the simulator.")
    var episodeTimeout: String?

    @Option(help: "Deadline of one inference, e.g. 2s or 500ms.")
    var requestTimeout = "2s"

    @Option(help: "How long to wait for robot and gateway at the start, e.g. 60s.")
    var readyTimeout = "60s"

    @Flag(help: "Exit with 1 unless every episode succeeded.")
    var requireSuccess = false

    @Flag(help: "Print one JSON line per episode on standard output.")
    var json = false

    @OptionGroup var tls: TLSFlags

    @Option(
        help: ArgumentHelp("Accepted for the guide's sake: statistics are part of the checkpoint.", visibility: .hidden)
    )
    var lerobotDatasetPath: String?

    package init() {}

    package func run() async throws {
        let configuration: AgentConfiguration
        switch checked() {
        case .success(let value): configuration = value
        case .failure(let problems): throw problems
        }
        let exit = await AgentRun(configuration: configuration).run()
        if exit != .ok { throw ExitCode(exit.rawValue) }
    }

    /// Every flag that makes no sense, one line each.
    package struct Problems: Error, CustomStringConvertible {
        package var lines: [String]
        package var description: String { lines.joined(separator: "\n") }
    }

    /// Checks all flags together; nothing is opened or contacted.
    package func checked(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> Result<AgentConfiguration, Problems> {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        func address(_ text: String, _ flag: String, port: Int) -> Endpoint? {
            do {
                return try Endpoint(parsing: text, defaultPort: port)
            } catch {
                problems.append("\(flag): \(error)")
                return nil
            }
        }
        func time(_ text: String?, _ flag: String) -> Duration? {
            guard let text else { return nil }
            guard let duration = Self.duration(text), duration > .zero else {
                problems.append("\(flag) \(text): expected a positive time such as 20s or 500ms")
                return nil
            }
            return duration
        }
        require(
            AgentConfiguration.isUsable(robot: robot),
            "--robot \"\(robot)\": expected 1 to 64 letters, digits, _ or -"
        )
        require(!task.allSatisfy(\.isWhitespace), "--task is empty")
        require(actionChunkSize.map { (1...1000).contains($0) } ?? true, "--action-chunk-size: expected 1 to 1000")
        require(
            chunkSizeThreshold > 0 && chunkSizeThreshold <= 1,
            "--chunk-size-threshold \(chunkSizeThreshold): expected more than 0, at most 1"
        )
        let aggregate = AggregateFunction(rawValue: aggregateFn.replacing("-", with: "_"))
        let names = AggregateFunction.allCases.map(\.rawValue).joined(separator: ", ")
        require(aggregate != nil, "--aggregate-fn \(aggregateFn): expected one of \(names)")
        let planned = RequestPlanner.Mode(rawValue: mode)
        require(planned != nil, "--mode \(mode): expected async or sync")
        require((10...1000).contains(blendMs), "--blend-ms \(blendMs): expected 10 to 1000")
        require(
            fps == 100,
            "--fps \(fps): the arms are commanded at 100 Hz, always; chunk rows are 100 ms apart whatever the rate "
                + "(at --fps 30 the ancestor moved 3.3 times too slowly); leave the flag out"
        )
        require((1...100_000).contains(episodes), "--episodes \(episodes): expected 1 to 100000")
        let master = rosMaster ?? environment["ROS_MASTER_URI"] ?? "http://127.0.0.1:\(DefaultPort.rosMaster)"
        require(
            URL(string: master).map { $0.scheme == "http" && $0.host() != nil } ?? false,
            "--ros-master \(master): expected http://HOST:PORT"
        )
        let gatewayAddress = address(gateway, "--gateway", port: DefaultPort.gateway)
        let adminAddress = admin.flatMap { address($0, "--admin", port: 0) }
        if case .unix? = adminAddress { problems.append("--admin: expected HOST:PORT") }
        var tlsFiles: TLSFiles?
        do throws(TLSError) { tlsFiles = try tls.files() } catch { problems.append(error.description) }
        let limit = time(episodeTimeout, "--episode-timeout")
        let deadline = time(requestTimeout, "--request-timeout")
        let ready = time(readyTimeout, "--ready-timeout")
        guard problems.isEmpty, let gatewayAddress, let aggregate, let planned, let deadline, let ready else {
            return .failure(Problems(lines: problems))
        }
        var result = AgentConfiguration(
            robot: robot,
            task: task,
            gateway: gatewayAddress,
            rosMaster: master,
            stateDirectory: URL(fileURLWithPath: stateDir ?? ".state/agent-\(robot)")
        )
        result.checkpoint = checkpoint.map(AgentConfiguration.checkpointName)
        result.chunkSize = actionChunkSize
        result.threshold = chunkSizeThreshold
        result.aggregate = aggregate
        result.blend = .milliseconds(blendMs)
        result.mode = planned
        result.profile = profile
        result.rotatesHeadCamera = rotateHeadCamera
        result.rosHost = rosHost ?? environment["ROS_IP"] ?? "127.0.0.1"
        result.admin = adminAddress
        result.episodes = episodes
        result.seed = seed
        result.episodeTimeout = limit
        result.requestTimeout = deadline
        result.readyTimeout = ready
        result.requiresSuccess = requireSuccess
        result.printsJSON = json
        result.tls = tlsFiles
        result.tlsReload = .seconds(tls.tlsReload)
        return .success(result)
    }

    /// `20s`, `500ms` or plain seconds.
    package static func duration(_ text: String) -> Duration? {
        let scale: Double = text.hasSuffix("ms") ? 0.001 : 1
        let digits = text.hasSuffix("ms") ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast(1) : text[...]
        guard let value = Double(digits), value.isFinite, value < 1e6 else { return nil }
        return .seconds(value * scale)
    }
}
