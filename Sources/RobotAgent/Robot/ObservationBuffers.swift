import DequeModule
package import GrootCore

/// A bounded history of one vector (joint angles, claw positions) by the time of measurement.
package struct SampleHistory: Sendable {
    private var samples = Deque<(instant: MonotonicInstant, values: [Float])>()
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
    }

    package var latest: [Float]? { samples.last?.values }

    /// Samples that are not newer than the newest one are dropped.
    package mutating func append(_ values: [Float], at instant: MonotonicInstant) {
        if let last = samples.last, instant <= last.instant { return }
        if samples.count == capacity { samples.removeFirst() }
        samples.append((instant, values))
    }

    /// The vector at `instant`: interpolated between neighbours, else the nearest end, with its distance.
    package func value(at instant: MonotonicInstant) -> (values: [Float], distance: Duration)? {
        guard let first = samples.first, let last = samples.last else { return nil }
        if instant >= last.instant { return (last.values, instant - last.instant) }
        if instant <= first.instant { return (first.values, first.instant - instant) }
        var low = 0
        var high = samples.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if samples[middle].instant <= instant { low = middle } else { high = middle }
        }
        let (before, after) = (samples[low], samples[high])
        let share = Float((instant - before.instant).nanoseconds) / Float((after.instant - before.instant).nanoseconds)
        let values = zip(before.values, after.values).map { $0 + ($1 - $0) * share }
        return (values, .zero)
    }
}

/// The newest of everything one robot says, aligned on demand. Pure; the owner locks it.
///
/// Everything in here has the time of its measurement on this machine's clock, which `InputContract` finds for each
/// publisher on its own: stamps of two publishers are never compared.
package struct ObservationBuffers: Sendable {
    /// Inputs beside joints, claws and cameras, which carry no stamp of their own.
    package enum Extra: String, Sendable, CaseIterable {
        case linearAcceleration = "linear_acceleration"
        case angularVelocity = "angular_velocity"
        case body
    }

    /// Images, state and instant of one observation.
    package struct Aligned: Sendable {
        package var frames: [String: Picture]
        /// Joint angles (rad), then claws (0 to 100), at the instant of the images.
        package var state: [Float]
        package var extras: [Extra: [Float]] = [:]
        package var capturedAt: MonotonicInstant
        /// Largest difference between the times of what is in here.
        package var skew: Duration
    }

    private struct CameraTrack: Sendable {
        var frames = Deque<(capturedAt: MonotonicInstant, picture: Picture)>()
        var arrived: MonotonicInstant?
    }

    /// 256 samples at 500 Hz: half a second.
    package static let stateCapacity = 256
    /// Frames kept per camera.
    package static let frameCapacity = 4

    private let maximumSkew: Duration
    /// Joints and claws further from the images than this say nothing about them.
    private let maximumStateDistance: Duration
    private var cameras: [String: CameraTrack]
    private var joints = SampleHistory(capacity: stateCapacity)
    private var claws = SampleHistory(capacity: stateCapacity)
    /// By arrival, because these messages have no stamp.
    private var extras: [Extra: SampleHistory]
    private var extrasArrived: [Extra: MonotonicInstant] = [:]
    private var jointsArrived: MonotonicInstant?
    private var clawsArrived: MonotonicInstant?

    package init(
        cameras: [String],
        extras: [Extra] = [],
        maximumSkew: Duration,
        maximumStateDistance: Duration
    ) {
        self.maximumStateDistance = maximumStateDistance
        self.extras = Dictionary(
            uniqueKeysWithValues: extras.map { ($0, SampleHistory(capacity: Self.stateCapacity)) }
        )
        self.cameras = Dictionary(uniqueKeysWithValues: cameras.map { ($0, CameraTrack()) })
        self.maximumSkew = maximumSkew
    }

    package mutating func imageArrived(
        _ picture: Picture,
        camera: String,
        capturedAt: MonotonicInstant,
        at now: MonotonicInstant
    ) {
        guard var track = cameras.removeValue(forKey: camera) else { return }
        if let last = track.frames.last, capturedAt <= last.capturedAt { track.frames.removeLast() }
        if track.frames.count == Self.frameCapacity { track.frames.removeFirst() }
        track.frames.append((capturedAt, picture))
        track.arrived = now
        cameras[camera] = track
    }

    package mutating func jointsArrived(_ values: [Float], capturedAt: MonotonicInstant, at now: MonotonicInstant) {
        joints.append(values, at: capturedAt)
        jointsArrived = now
    }

    package mutating func clawsArrived(_ values: [Float], capturedAt: MonotonicInstant, at now: MonotonicInstant) {
        claws.append(values, at: capturedAt)
        clawsArrived = now
    }

    package mutating func extraArrived(_ values: [Float], _ extra: Extra, at now: MonotonicInstant) {
        extras[extra]?.append(values, at: now)
        extrasArrived[extra] = now
    }

    package var latestJoints: [Float]? { joints.latest }
    package var latestClaws: [Float]? { claws.latest }

    /// When each input was last heard, by camera key, `joints` or `claws`; nil for never.
    package var lastHeard: [String: MonotonicInstant?] {
        var heard: [String: MonotonicInstant?] = cameras.mapValues(\.arrived)
        heard["joints"] = .some(jointsArrived)
        heard["claws"] = .some(clawsArrived)
        for extra in extras.keys { heard[extra.rawValue] = .some(extrasArrived[extra]) }
        return heard
    }

    /// The newest complete camera set with the robot's state at that instant.
    ///
    /// Reference is the newest instant that every camera has reached; each camera gives its picture nearest to it. Nil while
    /// something is missing, the images are too far apart, or the state is too far from them.
    package func newest() -> Aligned? {
        var reached: MonotonicInstant?
        for track in cameras.values {
            guard let last = track.frames.last?.capturedAt else { return nil }
            reached = min(reached ?? last, last)
        }
        guard let reference = reached else { return nil }
        func distance(_ instant: MonotonicInstant) -> Duration {
            instant < reference ? reference - instant : instant - reference
        }
        var frames: [String: Picture] = [:]
        var oldest = reference
        var newest = reference
        for (key, track) in cameras {
            let nearest = track.frames.min { distance($0.capturedAt) < distance($1.capturedAt) }
            guard let nearest else { return nil }
            frames[key] = nearest.picture
            oldest = min(oldest, nearest.capturedAt)
            newest = max(newest, nearest.capturedAt)
        }
        guard newest - oldest <= maximumSkew, let joints = joints.value(at: reference),
            let claws = claws.value(at: reference), max(joints.distance, claws.distance) <= maximumStateDistance
        else { return nil }
        var others: [Extra: [Float]] = [:]
        for (extra, history) in extras {
            guard let value = history.value(at: reference) else { return nil }
            others[extra] = value.values
        }
        return Aligned(
            frames: frames,
            state: joints.values + claws.values,
            extras: others,
            capturedAt: reference,
            skew: max(newest - oldest, max(joints.distance, claws.distance))
        )
    }
}
