package import Foundation
package import GrootCore
package import GrootSecurity

/// What one run of the agent was told, checked and with defaults filled in.
package struct AgentConfiguration: Sendable {
    package var robot: String
    package var task: String
    /// Tried in order; requests stay with one until it fails.
    package var gateways: [Endpoint]
    /// Nil takes what the workers serve, if they serve exactly one.
    package var checkpoint: String?
    /// The checkpoint as it was written, when that was a path as in the guide: the directory from which the ancestor's
    /// server loads. The workers here have loaded theirs.
    package var checkpointPath: String?
    /// Rows used of each chunk; nil takes the checkpoint's. See `rows(of:)`.
    package var chunkSize: Int?
    /// Control rate in Hz that the user expects; compared, never used.
    package var expectedRate: Double?
    /// LeRobot data set to compare the checkpoint's description with.
    package var dataset: URL?
    /// A difference to the checkpoint ends the run instead of being said.
    package var isStrict = false
    package var threshold = RequestPlanner.Threshold.fixed(0.5)
    package var aggregate = AggregateFunction.weightedAverage
    package var blend = EpisodeTuning.defaultBlend
    package var mode = RequestPlanner.Mode.async
    package var shape = ChunkShape()
    package var imageFormat = ObservationEncoder.ImageFormat.raw
    /// Sends a late request a second time; the first answer wins.
    package var hedges = false
    /// Rows of a prefix behind the frozen ones that the policy may bend (rtc).
    package var prefixOverlap = 0
    /// Waits for the operator before each chunk; sync mode only.
    package var pausesBeforeChunk = false
    /// Arm that stays where it is.
    package var frozenArm: Arm?
    package var clawLatch: ClawLatch.Configuration?
    package var zeroesState = false
    package var zeroedCameras: Set<String> = []
    /// Everything but publishing: no command, no mode, no scene.
    package var isDryRun = false
    package var realTime = RealTimeSettings()
    /// Directory for recordings, one file per episode; nil records nothing.
    package var recording: URL?
    /// While recording, thumbnails of the cameras go to the control plane this often; nil sends none.
    package var thumbnailInterval: Duration? = .seconds(1)
    /// Pulls the run configuration from the control plane before each episode.
    package var pullsRunConfig = true
    /// Flags given by hand, without dashes; they override the fleet's run configuration.
    package var explicitFlags: Set<String> = []
    /// The run configuration that the fleet assigned; empty without one.
    package var runConfigName = ""
    package var runConfigVersion: UInt32 = 0
    /// `auto`, a built-in name or a path.
    package var profile = "auto"
    package var rotatesHeadCamera = false
    package var rosMaster: String
    package var rosHost = "127.0.0.1"
    package var admin: Endpoint?
    package var stateDirectory: URL
    /// Telemetry kept on disk; beyond it the oldest details go.
    package var spoolBytes = 256 << 20
    /// Nil: cleartext.
    package var tls: TLSFiles?
    package var tlsReload: Duration = .seconds(10)
    package var episodes = 1
    package var seed: Int64?
    /// A person begins each episode on a real robot.
    package var isAttended = false
    /// Says what came of an episode when nobody else did.
    package var judge: JudgeCommand?
    /// Nil: 20 s on a robot; 45 s in the simulator, which judges by its own, possibly slower clock.
    package var episodeTimeout: Duration?
    package var requestTimeout: Duration = .seconds(2)
    package var readyTimeout: Duration = .seconds(60)
    package var flushTimeout: Duration = .seconds(10)
    /// How long the guard tries to hand the arms back when this process could not.
    package var handBackTimeout: Duration = .seconds(600)
    package var requiresSuccess = false
    package var printsJSON = false

    package enum Arm: String, Sendable, CaseIterable {
        case left
        case right

        /// Its dimensions in the control loop: its joints and its claw.
        package func dimensions(of profile: RobotProfile) -> Set<Int> {
            let joints = self == .left ? profile.leftJoints : profile.rightJoints
            let claw = profile.hands.firstIndex(of: rawValue).map { profile.claws.lowerBound + $0 }
            return Set(joints).union(claw.map { [$0] } ?? [])
        }
    }

    package init(robot: String, task: String, gateway: Endpoint, rosMaster: String, stateDirectory: URL) {
        self.robot = robot
        self.task = task
        self.gateways = [gateway]
        self.rosMaster = rosMaster
        self.stateDirectory = stateDirectory
    }

    /// Rows that are used of each chunk: what was asked for, as far as the checkpoint has it.
    package func rows(of policy: PolicyDescription) -> Int {
        min(chunkSize ?? policy.chunkSize, policy.chunkSize)
    }

    /// Robot names become file names, ROS names and metadata: letters, digits, `_` and `-`, at most 64.
    package static func isUsable(robot: String) -> Bool {
        !robot.isEmpty && robot.utf8.count <= 64
            && robot.unicodeScalars.allSatisfy {
                ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0) || $0 == "_"
                    || $0 == "-"
            }
    }

    /// Whether a checkpoint was written as in the guide, as a path; `...` is the guide's own placeholder.
    package static func isPath(_ text: String) -> Bool {
        text.contains("/") || text.allSatisfy { $0 == "." }
    }

    /// The selector in what the user wrote: a name, or the path of the checkpoint directory as in the guide.
    ///
    /// LeRobot's layout ends in `.../NAME/pretrained_model`, where the last part says nothing.
    package static func checkpointName(_ text: String) -> String {
        let parts = text.split(separator: "/")
        guard let last = parts.last else { return text }
        if last == "pretrained_model", parts.count > 1 { return String(parts[parts.count - 2]) }
        return String(last)
    }
}
