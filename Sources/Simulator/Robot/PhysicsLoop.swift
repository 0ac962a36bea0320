import Foundation
import GrootCore
import Logging
import ROS1

/// Steps the world in real time on its own thread, publishes what the robot's sensors would, and judges the episode.
struct PhysicsLoop: Sendable {
    let cell: RobotCell
    let sensors: ROSPublisher<SensorsData>
    let claws: ROSPublisher<LejuClawState>
    let outcome: ROSPublisher<StdString>
    let status: ROSPublisher<StdString>
    let metrics: SimulatorMetrics
    let logger: Logger
    let seed: Int64
    let task: String

    /// A delay beyond this is worth a warning.
    static let warnBehind = Duration.milliseconds(50)

    private struct Episode {
        var number: Int
        var seed: Int64
        var task: String
        var world: PhysicsWorld
        var scene: SceneVariation
        var judge: EpisodeJudge
        /// Simulated time when the first target was obeyed; the episode's clock.
        var began: Double?
        var reported = false
    }

    /// Runs until `thread` is told to stop.
    ///
    /// The world lives and dies on this thread.
    func run(_ thread: LoopThread) throws {
        defer { cell.close() }
        let pristine = try PhysicsModel()
        var episode = try start(
            1,
            seed: seed,
            task: task,
            placement: .upper,
            limits: EpisodeJudge.Limits(),
            pristine: pristine
        )
        var pacer = StepPacer(start: .now())
        var warning = RateLimit(every: .seconds(5))
        var head = [0.0, 0.0]
        var command = [Double](repeating: 0, count: 16)
        var sequence: UInt32 = 0
        var second = MonotonicInstant.now()
        var stepsThisSecond = 0
        var worstBehind = Duration.zero
        var lateReported: UInt64 = 0
        while !thread.shouldStop {
            let wait = pacer.nextDeadline - .now()
            if wait > .zero { usleep(UInt32(clamping: wait.nanoseconds / 1000)) }
            if let reset = cell.takeReset() {
                episode = try start(
                    episode.number + 1,
                    seed: reset.seed,
                    task: reset.task,
                    placement: reset.placement,
                    limits: reset.limits,
                    pristine: pristine
                )
                reset.done?.resume(returning: .init(success: true, message: episode.task))
                pacer.restarted(at: .now())
            }
            let due = pacer.woke(at: .now())
            worstBehind = max(worstBehind, due.behind)
            if due.behind > Self.warnBehind, let suppressed = warning.admit(at: .now()) {
                logger.warning(
                    "The simulation is behind real time; this machine is too busy for it",
                    metadata: ["behind_ms": "\(Int(due.behind.milliseconds))", "suppressed": "\(suppressed)"]
                )
            }
            for _ in 0..<due.steps {
                if sequence % 5 == 0 {
                    let tick = cell.ticked(seconds: 5 * PhysicsWorld.timestep)
                    command = tick.command
                    head = tick.head
                    if tick.isStreaming && episode.began == nil { episode.began = episode.world.time }
                    episode.world.command(command)
                }
                episode.world.step()
                sequence &+= 1
                publish(episode.world, sequence, head, command)
                if sequence % 5 == 0 {
                    cell.snapshot.store(
                        .init(scene: episode.scene, positions: episode.world.positions, capturedAt: .now())
                    )
                }
                if sequence % 50 == 0 { judge(&episode) }
            }
            stepsThisSecond += due.steps
            let now = MonotonicInstant.now()
            if now - second >= .seconds(1) {
                let factor = Double(stepsThisSecond) * PhysicsWorld.timestep / (now - second).seconds
                metrics.lateTicks.increment(by: pacer.lateTicks - lateReported)
                metrics.realTimeFactor.set(factor)
                metrics.behind.set(worstBehind.seconds)
                lateReported = pacer.lateTicks
                status.publish(
                    StdString(
                        data: StatusReport(
                            realTimeFactor: factor,
                            lateTicks: pacer.lateTicks,
                            behindMs: worstBehind.milliseconds
                        ).jsonText
                    )
                )
                second = now
                stepsThisSecond = 0
                worstBehind = .zero
            }
        }
    }

    private func start(
        _ number: Int,
        seed: Int64,
        task: String,
        placement: TargetPlacement,
        limits: EpisodeJudge.Limits,
        pristine: PhysicsModel
    ) throws -> Episode {
        let drawn = SceneVariation(seed: UInt64(bitPattern: seed))
        let task = task.isEmpty ? drawn.task : task
        let request = TaskRequest(sentence: task)
        let scene = drawn.placing(request, placement)
        let target = scene.reachableCarton(for: request)
        let world = try PhysicsWorld(scene: scene, pristine: pristine)
        cell.episodeStarted(command: scene.startPosture + [0, 0])
        let judge = EpisodeJudge(target: target, start: scene.cartons.map(\.position), limits: limits)
        let episode = Episode(number: number, seed: seed, task: task, world: world, scene: scene, judge: judge)
        report(episode, outcome: "running", reason: "", time: 0)
        logger.info(
            "The cell is set up for an episode",
            metadata: ["episode": "\(number)", "seed": "\(seed)", "task": "\(task)"]
        )
        return episode
    }

    private func publish(_ world: PhysicsWorld, _ sequence: UInt32, _ head: [Double], _ command: [Double]) {
        let stamp = ROSTime.now()
        if sensors.subscriberCount > 0 {
            sensors.publish(
                RobotMessages.sensors(
                    sequence: sequence,
                    stamp: stamp,
                    position: world.state,
                    velocity: world.velocity,
                    acceleration: world.acceleration,
                    torque: world.effort,
                    head: head
                )
            )
        }
        // 100 Hz.
        if sequence % 5 == 0, claws.subscriberCount > 0 {
            claws.publish(
                RobotMessages.claws(
                    sequence: sequence / 5,
                    stamp: stamp,
                    position: Array(world.state[14...]),
                    velocity: Array(world.velocity[14...]),
                    effort: Array(world.effort[14...]),
                    target: Array(command[14...])
                )
            )
        }
    }

    private func judge(_ episode: inout Episode) {
        guard !episode.reported, let began = episode.began else { return }
        let verdict = episode.judge.observed(
            EpisodeJudge.Observation(
                time: episode.world.time - began,
                cartons: episode.world.cartons,
                palms: episode.world.palms,
                joints: Array(episode.world.state.prefix(14))
            )
        )
        guard let verdict else { return }
        episode.reported = true
        metrics.outcome(verdict.outcome).increment()
        report(episode, outcome: verdict.outcome.rawValue, reason: verdict.reason, time: verdict.time)
        logger.info(
            "The episode is decided",
            metadata: [
                "episode": "\(episode.number)", "seed": "\(episode.seed)", "outcome": "\(verdict.outcome.rawValue)",
                "reason": "\(verdict.reason)", "time_s": "\((verdict.time * 10).rounded() / 10)",
            ]
        )
    }

    private func report(_ episode: Episode, outcome text: String, reason: String, time: Double) {
        outcome.publish(
            StdString(
                data: EpisodeReport(
                    episode: episode.number,
                    seed: episode.seed,
                    task: episode.task,
                    outcome: text,
                    reason: reason,
                    timeS: (time * 1000).rounded() / 1000
                ).jsonText
            )
        )
    }
}

/// The simulator's instruments.
struct SimulatorMetrics: Sendable {
    let lateTicks: Counter
    let realTimeFactor: Gauge
    let behind: Gauge
    let images: Counter
    private let registry: MetricsRegistry

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        lateTicks = registry.counter("groot_sim_late_ticks_total", help: "Control ticks that started over 10 ms late")
        realTimeFactor = registry.gauge("groot_sim_real_time_factor", help: "Simulated seconds per second")
        behind = registry.gauge("groot_sim_behind_seconds", help: "Worst delay behind real time in the last second")
        images = registry.counter("groot_sim_images_total", help: "Camera images drawn")
    }

    func outcome(_ outcome: EpisodeOutcome) -> Counter {
        registry.counter(
            "groot_sim_episodes_total",
            help: "Episodes decided",
            labels: ["outcome": outcome.rawValue]
        )
    }
}
