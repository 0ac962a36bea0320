import GRPCCore
import GrootAPI
import GrootCore
import Logging
import ROS1

/// The way to a ready robot: master, profile, gateway, checkpoint, topics. Nothing moves here.
struct AgentStart: Sendable {
    let configuration: AgentConfiguration
    let recorder: Recorder?
    let logger: Logger

    /// - Throws: `AgentError` that names who did not answer or what does not fit; `CancellationError`.
    func connect(
        node: ROSNode,
        gateway: GatewayClient
    ) async throws -> (RobotProfile, PolicyDescription, GrabBoxMpcEnv) {
        let uri = configuration.rosMaster
        try await retried("the ROS master", at: uri) { try await node.start() }
        // Before anything is registered: a second node of this name would push the first one out.
        if try await node.isAlive(node: node.name) {
            throw AgentError(
                .unavailable,
                "robot \(configuration.robot) is driven already: the node \(node.name) lives at master \(uri); "
                    + "stop that agent first, or give this one another --robot"
            )
        }
        let profile = try await ProfileCatalog.resolve(configuration.profile, on: node)
        logger.info("robot profile", metadata: ["profile": "\(profile.name)"])
        if let problem = SessionLead.problem(configuration, profile) { throw AgentError(.usage, problem) }
        let (policy, substitution) = try await retried(
            "the gateway",
            at: configuration.gateways.map { "\($0)" }.joined(separator: ",")
        ) {
            let wanted = await checkpoint(profile: profile, gateway: gateway)
            return try await CheckpointChoice(wanted: wanted, path: configuration.checkpointPath).find(at: gateway)
        }
        let problems = PolicyMatch.problems(policy: policy, profile: profile, task: configuration.task)
        guard problems.isEmpty else {
            let isUsage = problems.allSatisfy { $0.hasPrefix("--") }
            throw AgentError(isUsage ? .usage : .mismatch, problems.joined(separator: "\n"))
        }
        let expectations = Expectations(configuration: configuration, policy: policy, profile: profile)
        try expectations.settle(substitution, logger)
        logger.info(
            "checkpoint",
            metadata: [
                "checkpoint": "\(policy.checkpoint)", "chunk": "\(policy.chunkSize)", "runtime": "\(policy.runtime)",
            ]
        )
        let commandsBase = profile.controlNames(for: policy.actionNames).count > profile.claws.upperBound
        var contract = InputContract.Configuration(
            profile,
            cameraKeys: policy.images.map(\.key),
            extras: profile.extras(for: policy.stateNames),
            commandsBase: commandsBase
        )
        // A dry run commands nothing and may look on beside whoever does.
        if configuration.isDryRun { contract.commands = [] }
        let inputs = try await RobotInputs(
            profile: profile,
            configuration: contract,
            node: node,
            tap: recorder,
            logger: logger
        )
        try await inputs.waitUntilReady(timeout: configuration.readyTimeout)
        let env = try await GrabBoxMpcEnv(
            inputs: inputs,
            commandsBase: commandsBase,
            isDryRun: configuration.isDryRun,
            node: node,
            tap: recorder
        )
        // Once more with the commands offered: who listens must have connected, and nobody else may have begun.
        try await inputs.waitUntilReady(timeout: configuration.readyTimeout)
        return (profile, policy, env)
    }

    /// The checkpoint that the run begins with: the flag's, else the one that the fleet assigns to this robot and task.
    private func checkpoint(profile: RobotProfile, gateway: GatewayClient) async -> String? {
        if let checkpoint = configuration.checkpoint { return checkpoint }
        guard configuration.pullsRunConfig else { return nil }
        var request = Groot_V1_AssignRunConfigRequest()
        request.robot = configuration.robot
        request.task = configuration.task
        request.profile = profile.name
        // Without a control plane the workers decide.
        let assigned = try? await gateway.runConfig(request).checkpoint
        return assigned.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func trouble(_ error: RPCError) -> GatewayTrouble {
        GatewayTrouble(error, isTLS: configuration.tls != nil)
    }

    /// Repeats `attempt` with a progress line until it succeeds or the ready time is over.
    private func retried<Value: Sendable>(
        _ what: String,
        at address: String,
        _ attempt: @Sendable () async throws -> Value
    ) async throws -> Value {
        let start = MonotonicInstant.now()
        var progress = RateLimit(every: .seconds(2))
        while true {
            do {
                return try await attempt()
            } catch let error as RPCError where trouble(error).code != .unavailable {
                // Another try with the same certificate gets the same answer.
                throw AgentError(trouble(error).code, "\(what) at \(address) \(trouble(error).sentence)")
            } catch let error as AgentError where error.code != .unavailable {
                // Waiting changes neither what a file says nor what the workers serve.
                throw error
            } catch {
                try Task.checkCancellation()
                let now = MonotonicInstant.now()
                guard now - start < configuration.readyTimeout else {
                    let why = (error as? RPCError).map { trouble($0).sentence } ?? "does not answer"
                    throw AgentError(
                        .unavailable,
                        "\(what) at \(address) \(why); gave up after \(configuration.readyTimeout.seconds) s",
                        cause: error
                    )
                }
                if progress.admit(at: now) != nil {
                    logger.info("waiting for \(what)", metadata: ["peer": "\(address)", "error": "\(error)"])
                }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
    }
}
