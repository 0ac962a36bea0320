import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import Logging

/// `groot-agent replay FILE`: what the policy would have done in a recording. Publishes nothing.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Send a recording's observations to a live gateway and compare the answers with what was commanded.",
        discussion: "Takes the flags of run that concern task, gateway, checkpoint, images and profile."
    )

    @Argument(help: "An MCAP file of --record.")
    var file: String

    @OptionGroup var flags: RunFlags

    @Option(help: "Recorded seconds between two observations.")
    var every = 0.8

    func run() async throws {
        let configuration = try flags.checked().get()
        guard (0.05...60).contains(every) else { throw ValidationError("--every: expected 0.05 to 60 seconds") }
        let name = configuration.profile == "auto" ? "simulator" : configuration.profile
        do {
            let profile = try ProfileCatalog.load(name)
            let recording = try RecordedRobot(file: URL(fileURLWithPath: file), profile: profile)
            var logger = Logger(label: "replay")
            logger.logLevel = .warning
            let gateway = try GatewayClient(
                endpoints: configuration.gateways,
                robot: configuration.robot,
                checkpoint: configuration.checkpoint,
                logger: logger
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await gateway.run() }
                defer {
                    gateway.shutdown()
                    group.cancelAll()
                }
                try await replay(recording, profile, configuration, gateway)
            }
        } catch let error as AgentError {
            FileHandle.standardError.write(Data("groot-agent replay: \(error)\n".utf8))
            throw ExitCode(error.exit.rawValue)
        }
    }

    private func replay(
        _ recording: RecordedRobot,
        _ profile: RobotProfile,
        _ configuration: AgentConfiguration,
        _ gateway: GatewayClient
    ) async throws {
        let policy = try PolicyMatch.select(
            configuration.checkpoint,
            among: try await gateway.describe(timeout: .seconds(10))
        )
        let problems = PolicyMatch.problems(
            policy: policy,
            profile: profile,
            task: configuration.task,
            chunkSize: configuration.chunkSize
        )
        guard problems.isEmpty else { throw AgentError(.mismatch, problems.joined(separator: "\n")) }
        var settings = ObservationEncoder.Configuration(
            robot: configuration.robot,
            task: configuration.task,
            rows: policy.chunkSize,
            seed: UInt64(bitPattern: configuration.seed ?? 1)
        )
        settings.format = configuration.imageFormat
        settings.rotatesHeadCamera = configuration.rotatesHeadCamera
        settings.zeroesState = configuration.zeroesState
        settings.zeroedCameras = configuration.zeroedCameras
        let encoder = ObservationEncoder(configuration: settings, policy: policy, profile: profile)
        var buffers = ObservationBuffers(
            cameras: policy.images.map(\.key),
            extras: profile.extras(for: policy.stateNames),
            maximumSkew: .milliseconds(Int64(profile.limits.maximumSkewMs))
        )
        let names = profile.controlNames(for: policy.actionNames)
        var error = ActionError(commands: recording.commands, arms: profile.armJoints, rows: policy.chunkSize)
        var latencies: [Duration] = []
        var next: MonotonicInstant?
        var index: UInt64 = 0
        var bytes = 0
        for input in recording.inputs {
            RecordedRobot.feed(input, into: &buffers)
            guard next.map({ input.time >= $0 }) ?? true, let observation = buffers.newest() else { continue }
            next = input.time + .milliseconds(Int64(every * 1000))
            index += 1
            let request = try encoder.request(observation, index: index, capturedTick: Int64(index))
            bytes += request.images.reduce(0) { $0 + $1.data.count }
            let sent = MonotonicInstant.now()
            let answer = try await gateway.infer(request, runway: .zero, timeout: configuration.requestTimeout)
            latencies.append(MonotonicInstant.now() - sent)
            let measured = observation.state + Array(repeating: 0, count: names.count - observation.state.count)
            let chunk = try InferenceAnswer.chunk(
                answer.response,
                requestID: request.requestID,
                order: names,
                fallback: Dictionary(uniqueKeysWithValues: zip(names, measured))
                    .filter { !policy.actionNames.contains($0.key) }
            )
            error.predicted(chunk, capturedAt: observation.capturedAt)
        }
        report(error, profile, latencies, bytes: bytes)
    }

    private func report(_ error: ActionError, _ profile: RobotProfile, _ latencies: [Duration], bytes: Int) {
        func text(_ value: Double?) -> String { value.map { String(format: "%.4f", $0) } ?? "-" }
        print("observations  \(latencies.count), of which \(error.chunks) fall together with recorded commands")
        print("mean joint error  \(text(error.mean)) rad")
        if let claws = error.clawAgreement {
            print("claws agree  \(String(format: "%.1f", 100 * claws)) % of the rows")
        }
        let p50 = UplinkTally.quantile(latencies, 0.5)?.milliseconds ?? 0
        let p99 = UplinkTally.quantile(latencies, 0.99)?.milliseconds ?? 0
        print(String(format: "answers  p50 %.1f ms, p99 %.1f ms", p50, p99))
        if !latencies.isEmpty { print("image bytes per observation  \(bytes / latencies.count)") }
        print("\n| row | mean rad | worst rad |\n|---|---|---|")
        for row in 0..<error.rows {
            print("| \(row) | \(text(error.mean(row: row))) | \(text(Double(error.worst(row: row)))) |")
        }
        print("\n| joint | mean rad |\n|---|---|")
        for (name, value) in zip(profile.arm.commandNames, error.joints) { print("| \(name) | \(text(value)) |") }
    }
}
