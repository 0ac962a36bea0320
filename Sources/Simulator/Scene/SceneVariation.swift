/// Everything that differs between two episodes, drawn from one seed.
///
/// Lengths in m, angles in rad, masses in kg.
struct SceneVariation: Hashable, Sendable {
    struct Carton: Hashable, Sendable {
        var colour: CartonColour
        /// Colour as painted: the nominal one with a random shade.
        var rgb: SIMD3<Double>
        var position: SIMD3<Double>
        var yaw: Double
        var mass: Double
    }

    static let shadedMaterials = ["floor", "white", "dark", "grey", "deck", "belt", "tape"]
    static let upperHeight = 1.05
    static let lowerHeight = 0.87
    static let columnX = 0.405
    static let columnY = 0.15
    static let columnYaw = 0.21
    static let lowerSetback = 0.02

    /// Upper left, upper right, lower left, lower right.
    var cartons: [Carton]
    /// 0 (left) or 1 (right): the upper carton that the scene's own task names.
    var target: Int
    var cartonFriction: Double
    var padFriction: Double
    var materialFactors: [Double]
    var lightX: Double
    var lightY: Double
    var lightDiffuse: Double
    var headlightAmbient: Double
    var headlightDiffuse: Double
    /// Head, chest.
    var cameraOffsets: [SIMD3<Double>]
    /// 14 arm joints.
    var startPosture: [Double]

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let colours = CartonColour.allCases.shuffled(using: &random)
        target = random.index(below: 2)
        cartons = (0..<4).map { index in
            let upper = index < 2
            let side = index % 2 == 0 ? 1.0 : -1.0
            let nominal = SIMD3(
                Self.columnX + (upper ? 0 : Self.lowerSetback),
                side * Self.columnY,
                upper ? Self.upperHeight : Self.lowerHeight
            )
            let offset = SIMD3(
                random.uniform(-1, 1) * (upper ? 0.02 : 0.007),
                random.uniform(-1, 1) * (upper ? 0.017 : 0.006),
                0
            )
            let yaw = side * Self.columnYaw + random.uniform(-1, 1) * (upper ? 0.09 : 0.03)
            let brightness = random.uniform(0.85, 1.15)
            var rgb = colours[index].rgb * brightness
            for channel in 0..<3 { rgb[channel] = min(max(rgb[channel] + random.uniform(-0.03, 0.03), 0), 1) }
            return Carton(
                colour: colours[index],
                rgb: rgb,
                position: nominal + offset,
                yaw: yaw,
                mass: random.uniform(0.6, 2.0)
            )
        }
        cartonFriction = random.uniform(0.5, 0.9)
        padFriction = random.uniform(0.9, 1.3)
        materialFactors = Self.shadedMaterials.map { _ in random.uniform(0.9, 1.1) }
        lightX = random.uniform(-0.5, 0.5)
        lightY = random.uniform(-0.5, 0.5)
        lightDiffuse = random.uniform(0.35, 0.65)
        headlightAmbient = random.uniform(0.28, 0.42)
        headlightDiffuse = random.uniform(0.25, 0.45)
        cameraOffsets = (0..<2).map { _ in
            SIMD3(random.uniform(-0.004, 0.004), random.uniform(-0.004, 0.004), random.uniform(-0.004, 0.004))
        }
        startPosture = HomePosture.joints.map { $0 + 0.02 * random.normal() }
    }

    /// The sentence that names this scene's target in the most common wording.
    var task: String { "Depalletize the \(cartons[target].colour.rawValue) box" }

    /// The same scene with the named colour moved to another place: two cartons exchange their paint.
    ///
    /// A request that names no colour leaves the scene as it is.
    func placing(_ request: TaskRequest, _ placement: TargetPlacement) -> SceneVariation {
        guard case .colour(let colour) = request, let named = cartons.firstIndex(where: { $0.colour == colour }) else {
            return self
        }
        let wanted: Int
        switch placement {
        case .random: return self
        case .upper: wanted = target
        case .lower: wanted = 2 + target
        }
        var scene = self
        (scene.cartons[named].colour, scene.cartons[wanted].colour) = (cartons[wanted].colour, cartons[named].colour)
        (scene.cartons[named].rgb, scene.cartons[wanted].rgb) = (cartons[wanted].rgb, cartons[named].rgb)
        return scene
    }

    /// The upper carton that a request names, or nil when it is below another, unknown or ambiguous.
    func reachableCarton(for request: TaskRequest) -> Int? {
        guard case .colour(let colour) = request else { return nil }
        return cartons.prefix(2).firstIndex { $0.colour == colour }
    }
}

/// Where an episode puts the carton that its task names.
enum TargetPlacement: String, Codable, Sendable {
    /// Within reach, left or right by the seed.
    case upper
    /// Below another carton, out of reach.
    case lower
    /// Wherever the seed puts it.
    case random
}

/// Where the arms wait: 14 joints in rad, left then right.
enum HomePosture {
    static let left = [0.805, 0.118, -0.154, -2.245, -0.074, -0.302, -0.144]
    static let joints = left + ArmKinematics.mirrored(left)
}
