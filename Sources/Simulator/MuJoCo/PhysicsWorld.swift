import CMuJoCo

/// The moving cell: one model and its state, stepped at 2 ms.
///
/// One owner thread; not `Sendable`. Lengths in m, angles in rad, claws 0 (open) to 100 (closed).
@safe final class PhysicsWorld {
    /// Seconds per physics step; five of them make one 100 Hz control tick.
    static let timestep = 0.002
    static let stepsPerTick = 5
    /// Jaw travel at claw 100, in m.
    static let clawTravel = 0.05

    let model: PhysicsModel
    private let data: UnsafeMutablePointer<mjData>
    private let armDofs: [Int32]
    private let palmSites: [Int]
    private let cartonBodies: [Int]
    /// First qpos index of every carton's free joint.
    private let cartonAddress: [Int]
    private let cartonDof: [Int]
    /// qpos index of the 14 arm joints and the 2 claws; dof indices are equal (all one-dimensional before the cartons).
    private let actuated: [Int]

    /// - Parameter pristine: a compiled cell to copy instead of compiling again.
    init(scene: SceneVariation, pristine: PhysicsModel? = nil) throws(SimulatorError) {
        if let pristine { model = try PhysicsModel(copying: pristine) } else { model = try PhysicsModel() }
        model.apply(scene)
        guard let data = unsafe mj_makeData(model.pointer) else {
            throw SimulatorError(.model, "MuJoCo cannot allocate the state of the cell")
        }
        unsafe self.data = data
        actuated = Array(0..<7) + Array(9..<16) + [8, 17]
        armDofs = actuated.prefix(14).map(Int32.init)
        let model = model
        palmSites = ["palm_l", "palm_r"].map { model.site($0) }
        cartonBodies = (0..<4).map { model.body("carton_\($0)") }
        cartonAddress = (0..<4).map { 18 + 7 * $0 }
        cartonDof = (0..<4).map { 18 + 6 * $0 }
        place(scene)
    }

    deinit {
        unsafe mj_deleteData(data)
    }

    private func place(_ scene: SceneVariation) {
        for (index, joint) in scene.startPosture.enumerated() {
            unsafe data.pointee.qpos[actuated[index]] = joint
        }
        for (index, carton) in scene.cartons.enumerated() {
            let base = cartonAddress[index]
            for axis in 0..<3 { unsafe data.pointee.qpos[base + axis] = carton.position[axis] }
            unsafe data.pointee.qpos[base + 3] = cosine(carton.yaw / 2)
            unsafe data.pointee.qpos[base + 6] = sine(carton.yaw / 2)
        }
        command(scene.startPosture.map { $0 } + [0, 0])
        unsafe mj_forward(model.pointer, data)
    }

    /// Sets the position targets: 14 joints in rad, 2 claws 0…100.
    ///
    /// Values outside the ranges are clipped by the servos.
    func command(_ target: [Double]) {
        precondition(target.count == 16, "a target has 14 joints and 2 claws")
        for index in 0..<14 { unsafe data.pointee.ctrl[index] = target[index] }
        for index in 14..<16 {
            unsafe data.pointee.ctrl[index] = min(max(target[index], 0), 100) / 100 * Self.clawTravel
        }
    }

    func step() {
        unsafe groot_step(model.pointer, data, armDofs, Int32(armDofs.count))
    }

    /// Simulated seconds since the start.
    var time: Double { unsafe data.pointee.time }

    /// 14 joint angles in rad, 2 claws 0…100.
    var state: [Double] {
        var state = actuated.map { unsafe data.pointee.qpos[$0] }
        for index in 14..<16 { state[index] = state[index] / Self.clawTravel * 100 }
        return state
    }

    /// 14 joint velocities in rad/s, 2 claws in percent per second.
    var velocity: [Double] {
        var state = actuated.map { unsafe data.pointee.qvel[$0] }
        for index in 14..<16 { state[index] = state[index] / Self.clawTravel * 100 }
        return state
    }

    /// 14 joint accelerations in rad/s².
    var acceleration: [Double] { actuated.prefix(14).map { unsafe data.pointee.qacc[$0] } }
    /// 14 joint torques in Nm (servo force), then the 2 jaw forces in N.
    var effort: [Double] { (0..<16).map { unsafe data.pointee.actuator_force[$0] } }
    /// Everything a renderer needs.
    var positions: [Double] { (0..<46).map { unsafe data.pointee.qpos[$0] } }

    /// Palm contact-face centres, left then right.
    var palms: [SIMD3<Double>] {
        palmSites.map { site in
            unsafe SIMD3(
                data.pointee.site_xpos[3 * site],
                data.pointee.site_xpos[3 * site + 1],
                data.pointee.site_xpos[3 * site + 2]
            )
        }
    }

    /// The four cartons: upper left, upper right, lower left, lower right.
    var cartons: [CartonState] {
        (0..<4).map { index in
            let base = cartonAddress[index]
            let dof = cartonDof[index]
            let matrix = 9 * cartonBodies[index]
            return unsafe CartonState(
                position: SIMD3(data.pointee.qpos[base], data.pointee.qpos[base + 1], data.pointee.qpos[base + 2]),
                yaw: arcTangent(data.pointee.xmat[matrix + 3], data.pointee.xmat[matrix]),
                upCosine: data.pointee.xmat[matrix + 8],
                linearVelocity: SIMD3(data.pointee.qvel[dof], data.pointee.qvel[dof + 1], data.pointee.qvel[dof + 2]),
                angularVelocity: SIMD3(
                    data.pointee.qvel[dof + 3],
                    data.pointee.qvel[dof + 4],
                    data.pointee.qvel[dof + 5]
                )
            )
        }
    }
}

/// Where a carton is and how it moves (world frame; angular velocity in its own frame).
struct CartonState: Hashable, Sendable {
    var position: SIMD3<Double>
    var yaw: Double
    /// Cosine between the carton's up axis and the world's.
    var upCosine = 1.0
    var linearVelocity = SIMD3<Double>.zero
    var angularVelocity = SIMD3<Double>.zero
}
