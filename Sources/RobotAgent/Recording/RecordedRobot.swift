import Foundation
import GrootCore
import NIOCore
import ROS1

/// A recording as the agent reads it: inputs in order, and what was commanded.
struct RecordedRobot {
    enum Input {
        case joints([Float])
        case claws([Float])
        case image(Picture, key: String)
        case extra([Float], ObservationBuffers.Extra)
    }

    /// By time of arrival on the recording's clock, with the time of measurement on the same.
    private(set) var inputs: [(time: MonotonicInstant, capturedAt: MonotonicInstant, input: Input)] = []
    private(set) var commands: [(time: MonotonicInstant, values: [Float])] = []

    /// - Throws: `AgentError` for an unreadable file or one without this robot's topics.
    init(file: URL, profile: RobotProfile) throws {
        let cameras = Dictionary(uniqueKeysWithValues: profile.cameras.map { ($0.topic, $0) })
        var claws = [Float](repeating: 0, count: profile.claws.count)
        var commandedClaws = claws
        var extras: [String: ObservationBuffers.Extra] = [:]
        var clocks: [String: StampClock] = [:]
        for extra in ObservationBuffers.Extra.allCases {
            if let topic = profile.topic(of: extra) { extras[topic] = extra }
        }
        try MCAPReader.messages(in: file) { message in
            let time = MonotonicInstant(nanoseconds: Int64(clamping: message.time))
            let body = ByteBuffer(bytes: message.body)
            func add(_ input: Input, stamp: ROSTime) {
                switch clocks[message.topic, default: StampClock()].arrived(stamp: stamp.nanoseconds, at: time) {
                case .captured(let instant), .stepped(let instant, _): inputs.append((time, instant, input))
                case .unstamped: inputs.append((time, time, input))
                case .repeated, .doubtful: break
                }
            }
            switch message.topic {
            case profile.topics.jointState:
                let sensors = try SensorsData(decoding: body)
                guard let last = profile.jointIndices.max(), last < sensors.joints.q.count else { return }
                let values = profile.jointIndices.map { Float(sensors.joints.q[$0]) }
                add(.joints(values), stamp: sensors.header.stamp)
            case profile.topics.clawState:
                let state = try LejuClawState(decoding: body)
                guard let last = profile.claw.stateIndices.max(), last < state.data.position.count else { return }
                claws = profile.claw.stateIndices.map { Float(state.data.position[$0]) }
                add(.claws(claws), stamp: state.header.stamp)
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
                guard let camera = cameras[topic] else { return }
                let (stamp, reading) = try Self.picture(body, of: camera)
                if let picture = reading.picture { add(.image(picture, key: camera.key), stamp: stamp) }
            case let topic where extras[topic] != nil:
                guard let extra = extras[topic] else { return }
                let values =
                    extra == .body
                    ? try MPCObservation(decoding: body).state.value
                    : try Float64MultiArray(decoding: body).data.map { Float($0) }
                inputs.append((time, time, .extra(values, extra)))
            default: break
            }
        }
        inputs.sort { $0.time < $1.time }
        commands.sort { $0.time < $1.time }
        guard !inputs.isEmpty, !commands.isEmpty else {
            throw AgentError(
                .badRecording,
                "\(file.path) holds no observation or no command of robot \(profile.name) "
                    + "(\(profile.topics.jointState), \(profile.topics.armCommand))"
            )
        }
    }

    private static func picture(
        _ body: ByteBuffer,
        of camera: RobotProfile.Camera
    ) throws -> (stamp: ROSTime, reading: PictureReading) {
        if camera.isCompressed == true {
            let image = try CompressedImage(decoding: body)
            return (image.header.stamp, PictureReading(image))
        }
        let image = try ROSImage(decoding: body)
        return (image.header.stamp, PictureReading(image))
    }

    /// Puts an input where the live robot's callback would put it.
    static func feed(
        _ input: (time: MonotonicInstant, capturedAt: MonotonicInstant, input: Input),
        into buffers: inout ObservationBuffers
    ) {
        let (time, captured) = (input.time, input.capturedAt)
        switch input.input {
        case .joints(let values): buffers.jointsArrived(values, capturedAt: captured, at: time)
        case .claws(let values): buffers.clawsArrived(values, capturedAt: captured, at: time)
        case .image(let picture, let key): buffers.imageArrived(picture, camera: key, capturedAt: captured, at: time)
        case .extra(let values, let extra): buffers.extraArrived(values, extra, at: time)
        }
    }
}
