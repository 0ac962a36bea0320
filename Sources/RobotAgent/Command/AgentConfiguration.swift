package import Foundation
package import GrootCore
package import GrootSecurity

/// What one run of the agent was told, checked and with defaults filled in.
package struct AgentConfiguration: Sendable {
    package var robot: String
    package var task: String
    package var gateway: Endpoint
    /// Nil takes what the workers serve, if they serve exactly one.
    package var checkpoint: String?
    /// Nil takes the checkpoint's.
    package var chunkSize: Int?
    package var threshold = 0.5
    package var aggregate = AggregateFunction.weightedAverage
    package var blend: Duration = .milliseconds(200)
    package var mode = RequestPlanner.Mode.async
    /// `auto`, a built-in name or a path.
    package var profile = "auto"
    package var rotatesHeadCamera = false
    package var rosMaster: String
    package var rosHost = "127.0.0.1"
    package var admin: Endpoint?
    package var stateDirectory: URL
    /// Nil: cleartext.
    package var tls: TLSFiles?
    package var tlsReload: Duration = .seconds(10)
    package var episodes = 1
    package var seed: Int64?
    /// Nil: 20 s on a robot; 45 s in the simulator, which judges by its own, possibly slower clock.
    package var episodeTimeout: Duration?
    package var requestTimeout: Duration = .seconds(2)
    package var readyTimeout: Duration = .seconds(60)
    package var flushTimeout: Duration = .seconds(10)
    package var requiresSuccess = false
    package var printsJSON = false

    package init(robot: String, task: String, gateway: Endpoint, rosMaster: String, stateDirectory: URL) {
        self.robot = robot
        self.task = task
        self.gateway = gateway
        self.rosMaster = rosMaster
        self.stateDirectory = stateDirectory
    }

    /// Robot names become file names, ROS names and metadata: letters, digits, `_` and `-`, at most 64.
    package static func isUsable(robot: String) -> Bool {
        !robot.isEmpty && robot.utf8.count <= 64
            && robot.unicodeScalars.allSatisfy {
                ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0) || $0 == "_"
                    || $0 == "-"
            }
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

extension AgentConfiguration {
    private struct Effective: Encodable {
        var actionChunkSize: Int
        var chunkSizeThreshold: Double
        var aggregateFn: String
        var blendMs: Double
        var mode: String
        var profile: String
        var rotateHeadCamera: Bool
        var controlRateHz: Int
        var requestTimeoutMs: Double
    }

    /// The effective run configuration as the control plane stores it.
    package func json(chunkSize: Int, profile: String) -> String {
        let effective = Effective(
            actionChunkSize: self.chunkSize ?? chunkSize,
            chunkSizeThreshold: threshold,
            aggregateFn: aggregate.rawValue,
            blendMs: blend.milliseconds,
            mode: mode.rawValue,
            profile: profile,
            rotateHeadCamera: rotatesHeadCamera,
            controlRateHz: 100,
            requestTimeoutMs: requestTimeout.milliseconds
        )
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        // Numbers and strings always encode.
        return (try? encoder.encode(effective)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
