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

    @Option(help: "Compare image encodings instead, e.g. raw,jpeg:90,jpeg:50: bytes, and how the answers change.")
    var encodings: String?

    func run() async throws {
        let configuration = try flags.checked().get()
        guard (0.05...60).contains(every) else { throw ValidationError("--every: expected 0.05 to 60 seconds") }
        let formats = try encodings.map { try Self.formats($0) }
        let name = configuration.profile == "auto" ? "simulator" : configuration.profile
        do {
            let profile = try ProfileCatalog.load(name)
            let recording = try RecordedRobot(file: URL(fileURLWithPath: file), profile: profile)
            var logger = Logger(label: "replay")
            logger.logLevel = .warning
            let gateway = GatewayVisit(
                endpoints: configuration.gateways,
                robot: configuration.robot,
                tls: configuration.tls,
                logger: logger
            )
            let tape = Tape(
                recording: recording,
                profile: profile,
                configuration: configuration,
                every: every,
                logger: logger
            )
            try await gateway.ask { gateway in
                if let formats {
                    print(try await tape.compare(formats, gateway).table)
                } else {
                    try await tape.replay(gateway)
                }
            }
        } catch let error as AgentError {
            FileHandle.standardError.write(Data("groot-agent replay: \(error)\n".utf8))
            throw ExitCode(error.exit.rawValue)
        }
    }

    private static func formats(_ text: String) throws -> [ObservationEncoder.ImageFormat] {
        try text.split(separator: ",").map { name in
            guard let format = ObservationEncoder.ImageFormat(String(name)) else {
                throw ValidationError("--encodings \(name): expected raw or jpeg:1 to jpeg:100")
            }
            return format
        }
    }
}

/// A recording and how it is shown to a policy.
private struct Tape: Sendable {
    let recording: RecordedRobot
    let profile: RobotProfile
    let configuration: AgentConfiguration
    let every: Double
    let logger: Logger

    private func policy(of gateway: GatewayClient) async throws -> PolicyDescription {
        let choice = CheckpointChoice(wanted: configuration.checkpoint, path: configuration.checkpointPath)
        let (policy, substitution) = try await choice.find(at: gateway)
        let problems = PolicyMatch.problems(
            policy: policy,
            profile: profile,
            task: configuration.task
        )
        guard problems.isEmpty else { throw AgentError(.mismatch, problems.joined(separator: "\n")) }
        try Expectations(configuration: configuration, policy: policy, profile: profile).settle(substitution, logger)
        return policy
    }

    private func encoder(
        _ format: ObservationEncoder.ImageFormat,
        _ policy: PolicyDescription
    ) -> ObservationEncoder {
        var settings = ObservationEncoder.Configuration(
            robot: configuration.robot,
            task: configuration.task,
            rows: policy.chunkSize,
            seed: UInt64(bitPattern: configuration.seed ?? 1)
        )
        settings.format = format
        settings.rotatesHeadCamera = configuration.rotatesHeadCamera
        settings.zeroesState = configuration.zeroesState
        settings.zeroedCameras = configuration.zeroedCameras
        return ObservationEncoder(configuration: settings, policy: policy, profile: profile)
    }

    /// An observation every `every` recorded seconds, with its number from 1 on.
    private func forEachObservation(
        of policy: PolicyDescription,
        _ body: (ObservationBuffers.Aligned, UInt64) async throws -> Void
    ) async throws {
        var buffers = ObservationBuffers(
            cameras: policy.images.map(\.key),
            extras: profile.extras(for: policy.stateNames),
            maximumSkew: .milliseconds(Int64(profile.limits.maximumSkewMs)),
            maximumStateDistance: .milliseconds(Int64(profile.limits.staleJointStateMs))
        )
        var next: MonotonicInstant?
        var index: UInt64 = 0
        for input in recording.inputs {
            RecordedRobot.feed(input, into: &buffers)
            guard next.map({ input.time >= $0 }) ?? true, let observation = buffers.newest() else { continue }
            next = input.time + .milliseconds(Int64(every * 1000))
            index += 1
            try await body(observation, index)
        }
    }

    /// The policy's chunk for one observation, and the bytes of its images.
    private func chunk(
        for observation: ObservationBuffers.Aligned,
        _ index: UInt64,
        _ encoder: ObservationEncoder,
        _ policy: PolicyDescription,
        _ gateway: GatewayClient
    ) async throws -> (chunk: ActionChunk, bytes: Int) {
        let request = try encoder.request(observation, index: index, capturedTick: Int64(index))
        let answer = try await gateway.infer(request, runway: .zero, timeout: configuration.requestTimeout)
        let names = profile.controlNames(for: policy.actionNames)
        let measured = observation.state + Array(repeating: 0, count: names.count - observation.state.count)
        let handPoses = HandPoses(policy: policy, profile: profile)
        let chunk = try InferenceAnswer.chunk(
            handPoses?.joints(answer.response, from: measured) ?? answer.response,
            of: policy,
            requestID: request.requestID,
            order: names,
            fallback: Dictionary(uniqueKeysWithValues: zip(names, measured))
                .filter { !policy.actionNames.contains($0.key) }
        )
        return (chunk, request.images.reduce(0) { $0 + $1.data.count })
    }

    /// How far the answers are from what was commanded.
    func replay(_ gateway: GatewayClient) async throws {
        let policy = try await policy(of: gateway)
        let encoder = encoder(configuration.imageFormat, policy)
        var error = ActionError(commands: recording.commands, arms: profile.armJoints, rows: policy.chunkSize)
        var latencies: [Duration] = []
        var bytes = 0
        try await forEachObservation(of: policy) { observation, index in
            let sent = MonotonicInstant.now()
            let answer = try await chunk(for: observation, index, encoder, policy, gateway)
            latencies.append(MonotonicInstant.now() - sent)
            bytes += answer.bytes
            error.predicted(answer.chunk, capturedAt: observation.capturedAt)
        }
        report(error, latencies, bytes: bytes)
    }

    /// The same observations in each encoding; the policy's noise is the same for all.
    func compare(
        _ formats: [ObservationEncoder.ImageFormat],
        _ gateway: GatewayClient
    ) async throws -> EncodingComparison {
        let policy = try await policy(of: gateway)
        var comparison = EncodingComparison(formats: formats, arms: profile.armJoints, claws: profile.claws)
        try await forEachObservation(of: policy) { observation, index in
            try comparison.saw(policy.images.compactMap { try observation.frames[$0.key]?.decoded() })
            let encoders = formats.map { encoder($0, policy) }
            let reference = try await chunk(for: observation, index, encoders[0], policy, gateway).chunk
            for (format, encoder) in encoders.enumerated() {
                let answer = try await chunk(for: observation, index, encoder, policy, gateway)
                comparison.answered(answer.chunk, against: reference, bytes: answer.bytes, index: format)
            }
        }
        return comparison
    }

    private func report(_ error: ActionError, _ latencies: [Duration], bytes: Int) {
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
