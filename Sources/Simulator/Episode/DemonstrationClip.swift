import GrootCore

/// One recorded episode, frame by frame at 10 Hz.
struct DemonstrationClip: Sendable {
    enum Kind: String, Sendable {
        case demo, refuse
    }

    static let imageSize = 96
    static let maximumTaskBytes = 96
    /// Frames of staying home after success.
    static let framesAfterSuccess = 9
    static let refuseFrames = 22

    var seed: UInt64
    var kind: Kind
    var task: String
    var sigma: Double
    var outcome: EpisodeOutcome
    /// Simulated seconds until success.
    var seconds: Double
    var frames = 0
    /// [frames, 2, 96, 96, 3].
    var images: [UInt8] = []
    /// [frames, 16].
    var states: [Float] = []
    /// [frames, 16, 16].
    var chunks: [Float] = []
    /// [frames, 5]: x, y, z, yaw of the named carton, phase.
    var auxiliary: [Float] = []

    /// Plays one episode of the expert under command noise.
    ///
    /// - Parameter pictures: false plays without rendering or recording, for measuring the expert.
    static func play(seed: UInt64, kind: Kind, sigmas: [Double], pictures: Bool = true) throws(SimulatorError)
        -> DemonstrationClip
    {
        var random = SeededGenerator(seed: seed ^ 0xD1B5_4A32_D192_ED03)
        let scene = SceneVariation(seed: seed)
        let colour = kind == .demo ? scene.cartons[scene.target].colour.rawValue : absentColour(scene, &random)
        let task = TaskWording.sentence(colour: colour, using: &random)
        let sigma = sigmas[random.index(below: sigmas.count)]
        let cell = try Cell(seed: seed, task: task, cameras: pictures)
        var expert = Expert(target: cell.target)
        var noise = CommandNoise(sigma: sigma)
        var clip = DemonstrationClip(
            seed: seed,
            kind: kind,
            task: task,
            sigma: sigma,
            outcome: .timeout,
            seconds: 0
        )
        var extra = kind == .demo ? framesAfterSuccess : refuseFrames
        while extra > 0 && (cell.judge.verdict == nil || cell.judge.verdict?.outcome == .success) {
            let plan = expert.plan(command: cell.command, measured: cell.world.state, cartons: cell.world.cartons)
            if pictures { clip.record(cell, plan) }
            cell.advance(to: noise.disturb(plan.rows[0], using: &random))
            if kind == .refuse || cell.judge.verdict != nil { extra -= 1 }
        }
        clip.outcome = kind == .refuse ? .refused : cell.judge.verdict?.outcome ?? .timeout
        clip.seconds = cell.judge.verdict?.time ?? cell.world.time
        return clip
    }

    private static func absentColour(_ scene: SceneVariation, _ random: inout SeededGenerator) -> String {
        random.unit() < 0.6
            ? scene.cartons[2 + random.index(below: 2)].colour.rawValue
            : TaskWording.unknownColours[random.index(below: TaskWording.unknownColours.count)]
    }

    private mutating func record(_ cell: Cell, _ plan: Expert.Plan) {
        frames += 1
        for frame in cell.images(width: Self.imageSize, height: Self.imageSize) { images += frame.pixels }
        states += cell.world.state.map(Float.init)
        for row in plan.rows { chunks += row.map(Float.init) }
        if let target = cell.target {
            let carton = cell.world.cartons[target]
            auxiliary += [carton.position.x, carton.position.y, carton.position.z, carton.yaw].map(Float.init)
        } else {
            auxiliary += [Float](repeating: .nan, count: 4)
        }
        auxiliary.append(Float(plan.phase.rawValue))
    }
}

/// The sentences that demonstrations are labelled with.
enum TaskWording {
    static let unknownColours = ["purple", "orange", "white", "black", "pink", "brown", "grey", "cyan"]
    private static let others = [
        "Take the C box and put it on the belt", "Move the C carton to the belt", "Please grab the C box",
        "Pick up the C box", "Unload the C carton from the pallet",
    ]

    /// The standard sentence in 3 of 8 draws, each other wording in 1 of 8.
    static func sentence(colour: String, using random: inout SeededGenerator) -> String {
        let draw = random.index(below: 8)
        let wording = draw < 3 ? "Depalletize the C box" : others[draw - 3]
        return wording.replacing("C", with: colour)
    }
}
