import CMuJoCo
import GrootCore

/// Off-screen cameras of one cell: owns an OSMesa context and its own copy of model and state.
///
/// One owner thread at a time; not `Sendable`. Physics hands over positions, so rendering never waits for it.
@safe final class CameraRenderer {
    /// Largest image of the off-screen buffer in the cell file.
    static let maximumWidth = 640
    static let maximumHeight = 480

    /// Leaves out what a camera cannot see; the pictures are the same, only cheaper.
    var dropsUnseen = true

    private let model: PhysicsModel
    private let data: UnsafeMutablePointer<mjData>
    private let mesa: OSMesaContext
    /// OSMesa insists on a buffer of its own; pictures are drawn into MuJoCo's.
    private let window: UnsafeMutableRawPointer
    private let scene: UnsafeMutablePointer<mjvScene>
    private let context: UnsafeMutablePointer<mjrContext>
    private let option: UnsafeMutablePointer<mjvOption>
    private let view: UnsafeMutablePointer<mjvCamera>

    /// - Parameter pristine: a compiled cell to copy instead of compiling again.
    init(scene variation: SceneVariation, pristine: PhysicsModel? = nil) throws(SimulatorError) {
        if let pristine { model = try PhysicsModel(copying: pristine) } else { model = try PhysicsModel() }
        model.apply(variation)
        guard let data = unsafe mj_makeData(model.pointer), let mesa = unsafe groot_make_mesa() else {
            throw SimulatorError(.rendering, "OSMesa gives no off-screen context; is libosmesa6 installed?")
        }
        unsafe self.data = data
        unsafe self.mesa = mesa
        unsafe window = .allocate(byteCount: 64 * 64 * 4, alignment: 16)
        unsafe scene = .allocate(capacity: 1)
        unsafe context = .allocate(capacity: 1)
        unsafe option = .allocate(capacity: 1)
        unsafe view = .allocate(capacity: 1)
        guard unsafe groot_make_current(mesa, window, 64, 64) == 1 else {
            throw SimulatorError(.rendering, "OSMesa's context cannot be made current")
        }
        unsafe mjv_defaultScene(scene)
        unsafe mjr_defaultContext(context)
        unsafe mjv_defaultOption(option)
        unsafe mjv_defaultCamera(view)
        unsafe mjv_makeScene(model.pointer, scene, 200)
        unsafe mjr_makeContext(model.pointer, context, Int32(mjFONTSCALE_100.rawValue))
        unsafe mjr_setBuffer(Int32(mjFB_OFFSCREEN.rawValue), context)
        guard unsafe context.pointee.currentBuffer == Int32(mjFB_OFFSCREEN.rawValue) else {
            throw SimulatorError(.rendering, "MuJoCo found no off-screen buffer in OSMesa")
        }
    }

    deinit {
        // Unchecked on purpose: the context is going away, and there is nobody to tell.
        _ = unsafe groot_make_current(mesa, window, 64, 64)
        unsafe mjr_freeContext(context)
        unsafe mjv_freeScene(scene)
        unsafe OSMesaDestroyContext(mesa)
        unsafe mj_deleteData(data)
        unsafe window.deallocate()
        unsafe scene.deallocate()
        unsafe context.deallocate()
        unsafe option.deallocate()
        unsafe view.deallocate()
    }

    /// Changes to another scene; the context stays.
    func show(_ variation: SceneVariation, pristine: PhysicsModel) {
        model.restore(from: pristine)
        model.apply(variation)
    }

    /// Pictures of the named cameras with the cell at `positions` (46 generalised positions).
    func render(_ cameras: [String], positions: [Double], width: Int, height: Int) -> [CameraFrame] {
        precondition(
            width <= Self.maximumWidth && height <= Self.maximumHeight,
            "image larger than the off-screen buffer"
        )
        for (index, value) in positions.enumerated() { unsafe data.pointee.qpos[index] = value }
        unsafe mj_kinematics(model.pointer, data)
        unsafe mj_comPos(model.pointer, data)
        unsafe mj_camlight(model.pointer, data)
        _ = unsafe groot_make_current(mesa, window, 64, 64)
        unsafe view.pointee.type = Int32(mjCAMERA_FIXED.rawValue)
        let area = mjrRect(left: 0, bottom: 0, width: Int32(width), height: Int32(height))
        return cameras.map { name in
            unsafe view.pointee.fixedcamid = Int32(model.camera(name))
            unsafe mjv_updateScene(model.pointer, data, option, nil, view, Int32(mjCAT_ALL.rawValue), scene)
            if dropsUnseen { unsafe groot_drop_unseen(model.pointer, scene, Float(width) / Float(height)) }
            unsafe mjr_render(area, scene, context)
            var upsideDown = [UInt8](repeating: 0, count: width * height * 3)
            unsafe mjr_readPixels(&upsideDown, nil, area, context)
            var pixels: [UInt8] = []
            pixels.reserveCapacity(upsideDown.count)
            for row in stride(from: height - 1, through: 0, by: -1) {
                pixels.append(contentsOf: upsideDown[(row * width * 3)..<((row + 1) * width * 3)])
            }
            guard let frame = CameraFrame(width: width, height: height, pixels: pixels) else {
                preconditionFailure("the picture has \(pixels.count) bytes")
            }
            return frame
        }
    }
}
