import DequeModule
package import GrootCore
package import GrootImaging

/// One camera image as it came, with the stamp its publisher gave it.
package struct StampedFrame: Sendable {
    /// Publisher's clock, nanoseconds.
    package var stamp: Int64
    package var picture: Picture

    package init(stamp: Int64, picture: Picture) {
        self.stamp = stamp
        self.picture = picture
    }

    package init(stamp: Int64, frame: CameraFrame) {
        self.init(stamp: stamp, picture: .pixels(frame))
    }
}

/// A camera's picture as its topic sent it.
///
/// A JPEG stays a JPEG until an observation needs it: a camera sends thirty a second, a policy looks at one or two.
package enum Picture: Sendable, Equatable {
    case pixels(CameraFrame)
    case jpeg([UInt8])

    package func decoded() throws(JPEGError) -> CameraFrame {
        switch self {
        case .pixels(let frame): frame
        case .jpeg(let data): try JPEGDecoder().decode(data.span)
        }
    }
}

/// A bounded history of one vector (joint angles, claw positions) by publisher stamp.
package struct SampleHistory: Sendable {
    private var samples = Deque<(stamp: Int64, values: [Float])>()
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
    }

    package var latest: [Float]? { samples.last?.values }
    package var latestStamp: Int64? { samples.last?.stamp }

    /// Samples that are not newer than the newest one are dropped: a publisher restarted or repeats itself.
    package mutating func append(stamp: Int64, values: [Float]) {
        if let last = samples.last, stamp <= last.stamp {
            // A stamp far in the past means a new clock: the old history would never match again.
            guard last.stamp - stamp > 1_000_000_000 else { return }
            samples.removeAll()
        }
        if samples.count == capacity { samples.removeFirst() }
        samples.append((stamp, values))
    }

    /// The vector at `stamp`: interpolated between neighbours, else the nearest end, with its distance.
    package func value(at stamp: Int64) -> (values: [Float], distance: Duration)? {
        guard let first = samples.first, let last = samples.last else { return nil }
        if stamp >= last.stamp { return (last.values, .nanoseconds(stamp - last.stamp)) }
        if stamp <= first.stamp { return (first.values, .nanoseconds(first.stamp - stamp)) }
        var low = 0
        var high = samples.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if samples[middle].stamp <= stamp { low = middle } else { high = middle }
        }
        let (before, after) = (samples[low], samples[high])
        let share = Float(stamp - before.stamp) / Float(after.stamp - before.stamp)
        let values = zip(before.values, after.values).map { $0 + ($1 - $0) * share }
        return (values, .zero)
    }
}

/// Maps a publisher's stamps to this machine's monotonic clock without trusting either wall clock.
///
/// The smallest difference (arrival minus stamp) seen lately belongs to the message that travelled
/// fastest; everything is placed relative to that one. Two windows of five seconds let the estimate
/// follow a drifting clock.
package struct StampClock: Sendable {
    private var current: Int64?
    private var previous: Int64?
    private var windowStart: MonotonicInstant?
    private let window: Duration = .seconds(5)

    package init() {}

    package mutating func observed(stamp: Int64, arrivedAt now: MonotonicInstant) {
        let difference = now.nanoseconds - stamp
        if let windowStart, now - windowStart >= window {
            previous = current
            current = nil
            self.windowStart = now
        } else if windowStart == nil {
            windowStart = now
        }
        current = min(current ?? difference, difference)
    }

    package func instant(of stamp: Int64) -> MonotonicInstant? {
        guard let offset = [current, previous].compactMap({ $0 }).min() else { return nil }
        return MonotonicInstant(nanoseconds: stamp + offset)
    }
}

/// The newest of everything one robot says, aligned on demand. Pure; the owner locks it.
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
        /// Stamp of the images; grows from observation to observation.
        package var stamp: Int64
        /// Largest difference between the stamps of what is in here.
        package var skew: Duration
    }

    private struct CameraTrack: Sendable {
        var frames = Deque<StampedFrame>()
        var arrived: MonotonicInstant?
    }

    /// 256 samples at 500 Hz: half a second.
    package static let stateCapacity = 256
    /// Frames kept per camera.
    package static let frameCapacity = 4

    private let maximumSkew: Duration
    private var cameras: [String: CameraTrack]
    private var joints = SampleHistory(capacity: stateCapacity)
    private var claws = SampleHistory(capacity: stateCapacity)
    /// By arrival on this machine's clock, because these messages have no stamp.
    private var extras: [Extra: SampleHistory]
    private var extrasArrived: [Extra: MonotonicInstant] = [:]
    private var jointsArrived: MonotonicInstant?
    private var clawsArrived: MonotonicInstant?
    private var clock = StampClock()

    package init(cameras: [String], extras: [Extra] = [], maximumSkew: Duration) {
        self.extras = Dictionary(
            uniqueKeysWithValues: extras.map { ($0, SampleHistory(capacity: Self.stateCapacity)) }
        )
        self.cameras = Dictionary(uniqueKeysWithValues: cameras.map { ($0, CameraTrack()) })
        self.maximumSkew = maximumSkew
    }

    package mutating func imageArrived(_ frame: StampedFrame, camera: String, at now: MonotonicInstant) {
        clock.observed(stamp: frame.stamp, arrivedAt: now)
        guard var track = cameras.removeValue(forKey: camera) else { return }
        if let last = track.frames.last, frame.stamp < last.stamp { track.frames.removeAll() }
        if track.frames.count == Self.frameCapacity { track.frames.removeFirst() }
        track.frames.append(frame)
        track.arrived = now
        cameras[camera] = track
    }

    package mutating func jointsArrived(_ values: [Float], stamp: Int64, at now: MonotonicInstant) {
        clock.observed(stamp: stamp, arrivedAt: now)
        joints.append(stamp: stamp, values: values)
        jointsArrived = now
    }

    package mutating func clawsArrived(_ values: [Float], stamp: Int64, at now: MonotonicInstant) {
        claws.append(stamp: stamp, values: values)
        clawsArrived = now
    }

    package mutating func extraArrived(_ values: [Float], _ extra: Extra, at now: MonotonicInstant) {
        extras[extra]?.append(stamp: now.nanoseconds, values: values)
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
    /// Reference is the newest stamp that every camera has reached; each camera gives its frame nearest
    /// to it. Nil while something is missing or the images are too far apart.
    package func newest() -> Aligned? {
        guard let reference = cameras.values.map({ $0.frames.last?.stamp ?? .min }).min(), reference != .min else {
            return nil
        }
        var frames: [String: Picture] = [:]
        var oldest = reference
        var newest = reference
        for (key, track) in cameras {
            guard let chosen = track.frames.min(by: { abs($0.stamp - reference) < abs($1.stamp - reference) }) else {
                return nil
            }
            frames[key] = chosen.picture
            oldest = min(oldest, chosen.stamp)
            newest = max(newest, chosen.stamp)
        }
        guard Duration.nanoseconds(newest - oldest) <= maximumSkew, let joints = joints.value(at: reference),
            let claws = claws.value(at: reference), let captured = clock.instant(of: reference)
        else { return nil }
        let skew = max(.nanoseconds(newest - oldest), max(joints.distance, claws.distance))
        var others: [Extra: [Float]] = [:]
        for (extra, history) in extras {
            guard let value = history.value(at: captured.nanoseconds) else { return nil }
            others[extra] = value.values
        }
        return Aligned(
            frames: frames,
            state: joints.values + claws.values,
            extras: others,
            capturedAt: captured,
            stamp: reference,
            skew: skew
        )
    }
}
