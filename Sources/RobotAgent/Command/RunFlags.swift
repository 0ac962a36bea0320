import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import GrootSecurity

/// Flags of everything that runs episodes. Spelled with - or _; see `FlagSpelling`.
struct RunFlags: ParsableArguments {
    @Option(name: [.customLong("robot")], help: "Name of this robot: letters, digits, _ and -.")
    var robot: String

    @Option(name: [.customLong("task"), .customLong("task-description")], help: "What to do, in a sentence.")
    var task = "Depalletize the box"

    @Option(
        name: [.customLong("gateway"), .customLong("server-address")],
        help: "Gateway address, or several separated by commas: requests go to the next one when one fails."
    )
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
            Ask for a new chunk when less than this share of a chunk's motion time is left unexecuted; 0.5 of 16 \
            rows are 800 ms of slack. Larger asks earlier and more often. auto follows the measured latency.
            """
    )
    var chunkSizeThreshold = "0.5"

    @Option(
        name: [.customLong("aggregate-fn"), .customLong("aggregate-fn-name")],
        help: "How overlapping arm targets combine: weighted_average, latest_only, average, conservative."
    )
    var aggregateFn = AggregateFunction.weightedAverage.rawValue

    @Option(help: "Milliseconds over which a new chunk takes over from the one being executed.")
    var blendMs = 200

    @Option(
        help: """
            async: infer while moving, average what overlaps. sync: infer when nothing is left and stand still \
            meanwhile. rtc: infer while moving, the policy continues what is being executed.
            """
    )
    var mode = RequestPlanner.Mode.async.rawValue

    @Option(help: "Control rate in Hz. Fixed at 100 by the robot; the model's own 10 Hz comes from the checkpoint.")
    var fps = 100.0

    @Option(help: "Robot profile: auto, simulator, 5_wheel, 4_pro or a JSON file.")
    var profile = "auto"

    @Flag(help: "Turn the head camera's image by 180 degrees.")
    var rotateHeadCamera = false

    @Option(help: "How images travel: raw or jpeg:QUALITY (1 to 100).")
    var imageEncoding = "raw"

    @Flag(help: "Send a request that is unusually late a second time, to another gateway if there is one.")
    var hedge = false

    @Option(
        help: "rtc: rows behind the frozen ones that are sent along and may be bent. 0 unless the policy learnt it."
    )
    var rtcOverlap = 0

    @Option(help: "First row of each chunk that is executed, counted from 0.")
    var chunkStart = 0

    @Option(help: "Last row of each chunk that is executed, inclusive. Default: the chunk's last.")
    var chunkEnd: Int?

    @Option(help: "Fastest joint speed in rad/s. sync: a faster segment takes longer; else the gate holds it back.")
    var maxJointVelocity: Double?

    @Option(help: "Execute every n-th 100 Hz sample (1, 2, 5 or 10): n times as fast. sync mode only.")
    var actionStride = 1

    @Flag(help: "Wait for Enter (or the service ~/proceed) before each chunk. sync mode only.")
    var pauseBeforeChunk = false

    @Flag(help: "Keep a claw closed once it was commanded closed, until homing.")
    var clawLatch = false

    @Option(help: "Claw command, 0 to 100, at or above which the latch counts.")
    var clawLatchThreshold = 50.0

    @Option(help: "Control ticks of 10 ms in a row after which the claw latches.")
    var clawLatchCount = 5

    @Option(help: "Claw command while latched, 0 to 100.")
    var clawLatchValue = 90.0

    @Option(help: "Keep one arm and its claw where they are: left or right.")
    var freezeArm: String?

    @Flag(help: "Diagnosis: send zeros instead of the joint state.")
    var stateZero = false

    @Option(help: "Diagnosis: send a black image for this camera (cam_head, ...); may be repeated.")
    var imageZero: [String] = []

    @Flag(help: "Infer and check everything, publish nothing and call no service.")
    var dryRun = false

    @Option(help: "Write what was seen and commanded to DIRECTORY, one MCAP file per episode (opens in Foxglove).")
    var record: String?

    @Option(help: "With --record: how often small pictures go to the dashboard, e.g. 1s; 0 sends none.")
    var thumbnailInterval = "1s"

    @Flag(help: "Do not ask the control plane for a run configuration.")
    var noRunConfig = false

    @Flag(help: "Do not ask for real-time scheduling and locked memory.")
    var noRealtime = false

    @Option(help: "Processor that the control thread stays on.")
    var controlCpu: Int?

    @Option(help: "ROS master URI. Default: ROS_MASTER_URI, else http://127.0.0.1:\(DefaultPort.rosMaster).")
    var rosMaster: String?

    @Option(help: "Address that other ROS nodes reach this process at. Default: ROS_IP, else 127.0.0.1.")
    var rosHost: String?

    @Option(help: "Address for /livez, /readyz and /metrics. Default: off.")
    var admin: String?

    @Option(help: "Where unsent telemetry is kept. Default: ./.state/agent-ROBOT.")
    var stateDir: String?

    @Option(help: "Most telemetry kept there, in MB; beyond it the oldest pictures go, then details, episodes last.")
    var spoolLimitMb = 256

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
