import CMuJoCo

/// One compiled copy of the cell; owns the `mjModel` and frees it.
///
/// Not thread-safe and not `Sendable`: physics and rendering each own a copy of their own, because a
/// scene writes colours, masses and lights into it.
@safe final class PhysicsModel {
    let pointer: UnsafeMutablePointer<mjModel>

    /// Compiles the embedded MJCF text.
    ///
    /// - Throws: `SimulatorError.model` with MuJoCo's own explanation.
    init() throws(SimulatorError) {
        var message = [CChar](repeating: 0, count: 1000)
        let xml = PackageResources.cell_xml
        let loaded = unsafe xml.withUnsafeBytes { bytes -> UnsafeMutablePointer<mjModel>? in
            guard let start = bytes.baseAddress else { return nil }
            return unsafe groot_load_model(start, Int32(bytes.count), &message, Int32(message.count))
        }
        guard let loaded = unsafe loaded else {
            let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw SimulatorError(.model, "MuJoCo refuses the embedded cell: \(text)")
        }
        unsafe pointer = loaded
    }

    /// A copy of a compiled model; a few milliseconds instead of parsing again.
    init(copying other: PhysicsModel) throws(SimulatorError) {
        guard let copy = unsafe mj_copyModel(nil, other.pointer) else {
            throw SimulatorError(.model, "MuJoCo cannot allocate a copy of the cell")
        }
        unsafe pointer = copy
    }

    /// Overwrites this copy with another one of the same cell.
    func restore(from other: PhysicsModel) {
        unsafe mj_copyModel(pointer, other.pointer)
    }

    deinit {
        unsafe mj_deleteModel(pointer)
    }

    func body(_ name: String) -> Int { unsafe Int(mj_name2id(pointer, Int32(mjOBJ_BODY.rawValue), name)) }
    func geom(_ name: String) -> Int { unsafe Int(mj_name2id(pointer, Int32(mjOBJ_GEOM.rawValue), name)) }
    func site(_ name: String) -> Int { unsafe Int(mj_name2id(pointer, Int32(mjOBJ_SITE.rawValue), name)) }
    func camera(_ name: String) -> Int { unsafe Int(mj_name2id(pointer, Int32(mjOBJ_CAMERA.rawValue), name)) }
    func material(_ name: String) -> Int { unsafe Int(mj_name2id(pointer, Int32(mjOBJ_MATERIAL.rawValue), name)) }

    /// Writes a scene's looks, masses and friction into this copy.
    ///
    /// The copy must be fresh: scales apply once.
    func apply(_ scene: SceneVariation) {
        for (index, carton) in scene.cartons.enumerated() {
            let geom = self.geom("carton_\(index)")
            unsafe groot_set_rgba(pointer, Int32(geom), Float(carton.rgb.x), Float(carton.rgb.y), Float(carton.rgb.z))
            unsafe groot_set_body_mass(pointer, Int32(body("carton_\(index)")), carton.mass)
            unsafe pointer.pointee.geom_friction[3 * geom] = scene.cartonFriction
        }
        for side in ["l", "r"] {
            unsafe pointer.pointee.geom_friction[3 * geom("pad_\(side)")] = scene.padFriction
        }
        for (name, factor) in zip(SceneVariation.shadedMaterials, scene.materialFactors) {
            unsafe groot_scale_material(pointer, Int32(material(name)), Float(factor))
        }
        unsafe groot_set_light(pointer, 0, scene.lightX, scene.lightY, Float(scene.lightDiffuse))
        unsafe groot_set_headlight(pointer, Float(scene.headlightAmbient), Float(scene.headlightDiffuse))
        for (name, offset) in zip(["head", "chest"], scene.cameraOffsets) {
            let camera = self.camera(name)
            for axis in 0..<3 { unsafe pointer.pointee.cam_pos[3 * camera + axis] += offset[axis] }
        }
    }
}
