import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import GrootSecurity

/// Flags of everything that runs episodes, in the groups that `--help` shows. Spelled with - or _; see `FlagSpelling`.
///
/// What a first run needs is shown by `--help`, the rest by `--help-hidden`; docs/agent.md has all of them.
struct RunFlags: ParsableArguments {
    @OptionGroup(title: "Robot and policy") var basics: BasicFlags
    @OptionGroup(title: "Session") var session: SessionFlags
    @OptionGroup(title: "Motion") var motion: MotionFlags
    @OptionGroup(title: "Observations and records") var records: RecordFlags
    @OptionGroup(title: "Process") var process: ProcessFlags
    @OptionGroup(title: "TLS") var tls: TLSFlags

    init() {}

    /// Every flag that makes no sense, one line each.
    struct Problems: Error, CustomStringConvertible {
        var lines: [String]
        var description: String { lines.joined(separator: "\n") }
    }

    /// `20s`, `500ms` or plain seconds.
    static func duration(_ text: String) -> Duration? {
        let scale: Double = text.hasSuffix("ms") ? 0.001 : 1
        let digits = text.hasSuffix("ms") ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast(1) : text[...]
        guard let value = Double(digits), value.isFinite, value < 1e6 else { return nil }
        return .seconds(value * scale)
    }
}

/// Who does what with which policy.
struct BasicFlags: ParsableArguments {
    @Option(help: .init("Name of this robot: letters, digits, _, -.", valueName: "name"))
    var robot: String

    @Option(
        name: [.customLong("task"), .customLong("task-description")],
        help: .init("What to do, in a sentence.", valueName: "text")
    )
    var task = "Depalletize the box"

    @Option(
        name: [.customLong("gateway"), .customLong("server-address")],
        help: .init("Gateways, tried in order.", valueName: "host:port,..")
    )
    var gateway = "127.0.0.1:\(DefaultPort.gateway)"

    @Option(
        name: [.customLong("checkpoint"), .customLong("ckpt-path")],
        help: .init("Name or path; else the one that is served.", valueName: "name")
    )
    var checkpoint: String?

    @Option(help: .init("auto, simulator, 5_wheel, 4_pro or a file.", valueName: "name"))
    var profile = "auto"

    @Flag(help: "Refuse what differs from checkpoint or robot.")
    var strict = false

    @Option(
        help: .init(
            "Control rate that you expect, Hz; profile and checkpoint decide.",
            valueName: "hz",
            visibility: .hidden
        )
    )
    var fps: Double?

    @Option(
        help: .init("Training data to compare names, rate and ranges with.", valueName: "dir", visibility: .hidden)
    )
    var lerobotDatasetPath: String?

    init() {}
}

/// How many episodes, and who says when and what came of them.
struct SessionFlags: ParsableArguments {
    @Option(help: .init("Episodes to run.", valueName: "n"))
    var episodes = 1

    @Option(help: .init("Decides by its exit code: 0 success, 1 failure.", valueName: "cmd"))
    var judge: String?

    @Flag(help: "A person begins each episode; default on a terminal.")
    var attended = false

    @Flag(help: "Nobody is there: begin at once.")
    var unattended = false

    @Option(help: .init("Time the judge may take.", valueName: "time", visibility: .hidden))
    var judgeTimeout = "60s"

    @Option(help: .init("Longest episode (20s; simulator 45s).", valueName: "time"))
    var episodeTimeout: String?

    @Option(help: .init("Seed of the first simulated scene.", valueName: "n"))
    var seed: Int64?

    @Flag(help: "Exit with 1 unless every episode succeeded.")
    var requireSuccess = false

    @Flag(help: "One JSON line per episode on standard output.")
    var json = false

    @Option(help: .init("Wait for robot and gateway at the start.", valueName: "time", visibility: .hidden))
    var readyTimeout = "60s"

    init() {}
}

/// How chunks become motion.
struct MotionFlags: ParsableArguments {
    @Option(help: .init("async, sync or rtc.", valueName: "name"))
    var mode = RequestPlanner.Mode.async.rawValue

    @Option(help: .init("Rows used of each chunk.", valueName: "n"))
    var actionChunkSize: Int?

    @Option(help: .init("Ask for more below this share of a chunk, or auto.", valueName: "x"))
    var chunkSizeThreshold = "0.5"

    @Option(
        name: [.customLong("aggregate-fn"), .customLong("aggregate-fn-name")],
        help: .init(
            "Overlapping arm targets: weighted_average, latest_only, average, conservative.",
            valueName: "name",
            visibility: .hidden
        )
    )
    var aggregateFn = AggregateFunction.weightedAverage.rawValue

    @Option(help: .init("Time over which a new chunk takes over, ms.", valueName: "ms", visibility: .hidden))
    var blendMs = Int(EpisodeTuning.defaultBlend.milliseconds)

    @Option(
        help: .init(
            "rtc: rows behind the frozen ones that are sent along and may be bent. 0 unless the policy learnt it.",
            valueName: "n",
            visibility: .hidden
        )
    )
    var rtcOverlap = 0

    @Option(help: .init("First row of each chunk that is executed, from 0.", valueName: "n", visibility: .hidden))
    var chunkStart = 0

    @Option(help: .init("Last row of each chunk that is executed.", valueName: "n", visibility: .hidden))
    var chunkEnd: Int?

    @Option(help: .init("Fastest joint speed, rad/s.", valueName: "v"))
    var maxJointVelocity: Double?

    @Option(
        help: .init("Rows pass n times as fast, 1 to 10; sync only.", valueName: "n", visibility: .hidden)
    )
    var actionStride = 1

    @Flag(help: "Wait for Enter before each chunk; sync only.")
    var pauseBeforeChunk = false

    @Option(help: .init("Keep one arm where it is: left or right.", valueName: "side"))
    var freezeArm: String?

    @Flag(help: .init("Keep a claw closed once commanded closed, until homing.", visibility: .hidden))
    var clawLatch = false

    @Option(
        help: .init("Claw command, 0 to 100, at which the latch counts.", valueName: "x", visibility: .hidden)
    )
    var clawLatchThreshold = 50.0

    @Option(
        help: .init("Control ticks in a row after which it latches.", valueName: "n", visibility: .hidden)
    )
    var clawLatchCount = 5

    @Option(help: .init("Claw command while latched, 0 to 100.", valueName: "x", visibility: .hidden))
    var clawLatchValue = 90.0

    @Flag(help: "Infer and check; publish and call nothing.")
    var dryRun = false

    init() {}
}

/// What the policy is shown, how it is asked, and what is kept.
struct RecordFlags: ParsableArguments {
    @Flag(help: "Turn the head camera by 180 degrees.")
    var rotateHeadCamera = false

    @Option(help: .init("raw or jpeg:QUALITY.", valueName: "how"))
    var imageEncoding = "raw"

    @Option(help: .init("MCAP files of what was seen and commanded.", valueName: "dir"))
    var record: String?

    @Option(
        help: .init("With --record: small pictures for the dashboard; 0: none.", valueName: "time", visibility: .hidden)
    )
    var thumbnailInterval = "1s"

    @Option(help: .init("Deadline of one inference.", valueName: "time", visibility: .hidden))
    var requestTimeout = "2s"

    @Flag(help: .init("Send a late request a second time, to another gateway if there is one.", visibility: .hidden))
    var hedge = false

    @Flag(help: .init("Diagnosis: send zeros instead of the joint state.", visibility: .hidden))
    var stateZero = false

    @Option(
        help: .init(
            "Diagnosis: black image for this camera; may be repeated.",
            valueName: "camera",
            visibility: .hidden
        )
    )
    var imageZero: [String] = []

    @Flag(help: .init("Do not ask the control plane for a run configuration.", visibility: .hidden))
    var noRunConfig = false

    @Option(help: .init("Telemetry not sent yet (.state/agent-NAME).", valueName: "dir"))
    var stateDir: String?

    @Option(
        help: .init("Most telemetry there, MB; pictures go first, episodes last.", valueName: "n", visibility: .hidden)
    )
    var spoolLimitMb = 256

    init() {}
}

/// How the process stands in its machine and in ROS.
struct ProcessFlags: ParsableArguments {
    @Option(help: .init("ROS master (ROS_MASTER_URI).", valueName: "uri"))
    var rosMaster: String?

    @Option(help: .init("How other nodes reach this one (ROS_HOSTNAME, ROS_IP).", valueName: "host"))
    var rosHost: String?

    @Option(help: .init("/livez, /readyz, /metrics (off).", valueName: "host:port"))
    var admin: String?

    @Option(
        help: .init("How long the guard tries to hand the arms back.", valueName: "time", visibility: .hidden)
    )
    var handBackTimeout = "600s"

    @Flag(help: .init("No real-time scheduling, no locked memory.", visibility: .hidden))
    var noRealtime = false

    @Option(help: .init("Processor that the control thread stays on.", valueName: "n", visibility: .hidden))
    var controlCpu: Int?

    init() {}
}
