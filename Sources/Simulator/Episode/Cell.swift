import GrootCore

/// One simulated cell in lock step: physics, cameras, judge.
///
/// One owner thread; not `Sendable`.
final class Cell {
    /// Seconds per control tick.
    static let tick = 0.01

    let scene: SceneVariation
    let task: String
    /// The carton that the task names, if it can be reached.
    let target: Int?
    let world: PhysicsWorld
    private let renderer: CameraRenderer?
    private(set) var judge: EpisodeJudge
    /// Last position targets given to the servos.
    private(set) var command: [Double]
    private var ticks = 0

    /// - Parameter task: nil for the scene's own sentence.
    init(seed: UInt64, task: String? = nil, cameras: Bool = true, limits: EpisodeJudge.Limits = .init())
        throws(SimulatorError)
    {
        scene = SceneVariation(seed: seed)
        self.task = task ?? scene.task
        target = scene.reachableCarton(for: TaskRequest(sentence: self.task))
        world = try PhysicsWorld(scene: scene)
        renderer = cameras ? try CameraRenderer(scene: scene) : nil
        judge = EpisodeJudge(target: target, start: scene.cartons.map(\.position), limits: limits)
        command = scene.startPosture + [0, 0]
    }

    /// Runs one 100 Hz tick towards `target` (14 rad, 2 claws 0…100); judges every tenth.
    func advanceTick(to target: [Double]) {
        command = target
        world.command(target)
        for _ in 0..<PhysicsWorld.stepsPerTick { world.step() }
        ticks += 1
        if ticks % 10 == 0 { judgeNow() }
    }

    /// Runs 0.1 s, moving the command linearly from the last one to `target`.
    func advance(to target: [Double]) {
        let start = command
        for tick in 1...10 {
            let share = Double(tick) / 10
            advanceTick(to: zip(start, target).map { $0 + ($1 - $0) * share })
        }
    }

    private func judgeNow() {
        _ = judge.observed(
            EpisodeJudge.Observation(
                time: world.time,
                cartons: world.cartons,
                palms: world.palms,
                joints: Array(world.state.prefix(14))
            )
        )
    }

    /// Pictures of the named cameras; those of the policy unless told otherwise.
    func images(_ cameras: [String] = ["head", "chest"], width: Int = 96, height: Int = 96) -> [CameraFrame] {
        renderer?.render(cameras, positions: world.positions, width: width, height: height) ?? []
    }
}
