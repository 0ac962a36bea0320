import Foundation
import GrootCore
import NIOCore
import ROS1

/// A recording as the agent reads it: inputs in order, and what was commanded.
struct RecordedRobot {
    enum Input {
        case joints([Float], stamp: Int64)
        case claws([Float], stamp: Int64)
        case image(StampedFrame, key: String)
        case extra([Float], ObservationBuffers.Extra)
    }

    /// By time of arrival on the recording's clock.
    private(set) var inputs: [(time: MonotonicInstant, input: Input)] = []
    private(set) var commands: [(time: MonotonicInstant, values: [Float])] = []

    /// - Throws: `AgentError` for an unreadable file or one without this robot's topics.
    init(file: URL, profile: RobotProfile) throws {
        let cameras = Dictionary(uniqueKeysWithValues: profile.cameras.map { ($0.topic, $0) })
        var claws = [Float](repeating: 0, count: profile.claws.count)
        var commandedClaws = claws
        var extras: [String: ObservationBuffers.Extra] = [:]
        for extra in ObservationBuffers.Extra.allCases {
            if let topic = profile.topic(of: extra) { extras[topic] = extra }
        }
        try MCAPReader.messages(in: file) { message in
            let time = MonotonicInstant(nanoseconds: Int64(clamping: message.time))
            let body = ByteBuffer(bytes: message.body)
            switch message.topic {
            case profile.topics.jointState:
                let sensors = try SensorsData(decoding: body)
                guard let last = profile.jointIndices.max(), last < sensors.joints.q.count else { return }
                let values = profile.jointIndices.map { Float(sensors.joints.q[$0]) }
                inputs.append((time, .joints(values, stamp: sensors.header.stamp.nanoseconds)))
            case profile.topics.clawState:
                let state = try LejuClawState(decoding: body)
                guard let last = profile.claw.stateIndices.max(), last < state.data.position.count else { return }
                claws = profile.claw.stateIndices.map { Float(state.data.position[$0]) }
                inputs.append((time, .claws(claws, stamp: state.header.stamp.nanoseconds)))
            case profile.topics.clawCommand:
                let command = try LejuClawCommand(decoding: body)
                guard command.data.position.count == profile.claws.count else { return }
                commandedClaws = profile.claw.stateIndices.map { Float(command.data.position[$0]) }
                // The claw command of a tick is published right behind its arm command.
                if let last = commands.indices.last {
                    commands[last].values.replaceSubrange(profile.claws, with: commandedClaws)
                }
            case profile.topics.armCommand:
                let command = try JointState(decoding: body)
                guard command.position.count == profile.armJoints.count else { return }
                commands.append((time, command.position.map { Float($0 * .pi / 180) } + commandedClaws))
            case let topic where cameras[topic] != nil:
                guard let camera = cameras[topic], let frame = try Self.frame(body, of: camera) else { return }
                inputs.append((time, .image(frame, key: camera.key)))
            case let topic where extras[topic] != nil:
                guard let extra = extras[topic] else { return }
                let values =
                    extra == .body
                    ? try MPCObservation(decoding: body).state.value
                    : try Float64MultiArray(decoding: body).data.map { Float($0) }
                inputs.append((time, .extra(values, extra)))
            default: break
            }
        }
        inputs.sort { $0.time < $1.time }
        commands.sort { $0.time < $1.time }
        guard !inputs.isEmpty, !commands.isEmpty else {
            throw AgentError(
                .usage,
                "\(file.path) holds no observation or no command of robot \(profile.name) "
                    + "(\(profile.topics.jointState), \(profile.topics.armCommand))"
            )
        }
    }

    private static func frame(_ body: ByteBuffer, of camera: RobotProfile.Camera) throws -> StampedFrame? {
        if camera.isCompressed == true {
            let image = try CompressedImage(decoding: body)
            return Picture(image).map { StampedFrame(stamp: image.header.stamp.nanoseconds, picture: $0) }
        }
        let image = try ROSImage(decoding: body)
        return CameraFrame(image).map { StampedFrame(stamp: image.header.stamp.nanoseconds, frame: $0) }
    }

    /// Puts an input where the live robot's callback would put it.
    static func feed(_ input: (time: MonotonicInstant, input: Input), into buffers: inout ObservationBuffers) {
        switch input.input {
        case .joints(let values, let stamp): buffers.jointsArrived(values, stamp: stamp, at: input.time)
        case .claws(let values, let stamp): buffers.clawsArrived(values, stamp: stamp, at: input.time)
        case .image(let frame, let key): buffers.imageArrived(frame, camera: key, at: input.time)
        case .extra(let values, let extra): buffers.extraArrived(values, extra, at: input.time)
        }
    }
}
