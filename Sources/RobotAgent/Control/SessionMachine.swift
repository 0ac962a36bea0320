import GrootCore

/// The one machine that commands the arms, in every phase of a session: way-points, homing, episodes, holds, stops, the way out.
///
/// It reads orders, requests of the run and what the robot says at every tick, and its only way to the robot is the safety
/// gate. The phases and what each order does in them are the table in docs/safety.md (`OrderTable`). Pure; owned by the control
/// thread. Allocates nothing per tick.
package struct SessionMachine: Sendable {
    package struct Configuration: Sendable {
        package var queue: ActionQueue.Configuration
        package var limits: SafetyGate.Limits
        /// Arm joints at home, rad.
        package var home: [Float]
        /// Arm poses that the first drive home of the session passes in order, rad.
        package var wayPoints: [[Float]] = []
        /// rad/s.
        package var homingVelocity: Float
        /// Command of an open claw.
        package var openClaw: Float = 0
        /// Dimensions that stay where they are, in every phase.
        package var frozen: Set<Int> = []
        package var latch: ClawLatch.Configuration?
        /// rad/s for every motion of the session, on top of the profile's limits; nil for those alone.
        package var maximumVelocity: Float?
        /// A person sits at the terminal: a first interrupt stops instead of ending the run.
        package var isAttended = false

        package init(
            queue: ActionQueue.Configuration,
            limits: SafetyGate.Limits,
            home: [Float],
            homingVelocity: Float
        ) {
            self.queue = queue
            self.limits = limits
            self.home = home
            self.homingVelocity = homingVelocity
        }
    }

    /// One drive home; the run's first one passes the way-points before.
    struct Move: Sendable {
        var id: UInt64
        var opensClaws: Bool
        /// A person ordered it, and says afterwards how to go on.
        var isOrdered: Bool
    }

    /// What goes on after a hold.
    enum Activity: Sendable {
        case homing(Move)
        /// An episode before its first chunk.
        case start
        case episode
    }

    enum Pause: Sendable {
        case inEpisode
        /// In an episode, for a look at the next chunk.
        case approval
        case between
    }

    /// What comes once the arms stand.
    enum Rest: Sendable {
        case silent
        case standing
        case waiting
        case paused(Pause)
        case stopped
        case homing(Move)
        case leaving
    }

    enum State: Sendable {
        case silent
        case approaching(Move)
        case homing(Move)
        case standing
        case waiting
        case following
        case holding(HoldReason, Activity)
        case paused(Pause)
        case stopping(Rest)
        case stopped
        case leaving
        case ended
    }

    enum Stream: Sendable {
        /// Nothing is commanded.
        case none
        /// Nothing is commanded for as long as another node commands, or nobody listens.
        case quiet
        case open
    }

    /// Decelerations that may pass until arms that are elsewhere are commanded to be there.
    private static let longestYield = 4

    let configuration: Configuration
    package internal(set) var queue: ActionQueue
    /// Counts changes of the plan, so that the owner knows when to copy it.
    package internal(set) var planVersion: UInt64 = 0
    var state = State.silent
    var stream = Stream.none
    var gate: SafetyGate
    var clock: HoldClock
    var watch: FollowingWatch
    var plan: MotionPlan
    var slowing: Slowing?
    var latch: ClawLatch?
    var counters = EpisodeCounters()
    var completedMove: UInt64 = 0
    /// Way-points that are behind the arms.
    var passedWayPoints = 0
    var fault: Fault?
    var episodeEnd: SessionStatus.EpisodeEnd?
    var leaveOrder: Order?
    var yields: UInt64 = 0
    /// Where arms were measured that turned out to be elsewhere: the command turns back to there, once.
    var yieldPose: [Float]
    /// Ticks that turning back may still take before the session falls silent.
    var yieldTicks = 0
    /// Standing arms were elsewhere, and have not been seen where the command went since.
    var isYielding = false
    /// Interrupts that belong to a stop from which the session went on.
    var settledInterrupts: UInt32 = 0
    var interrupts: UInt32 = 0
    /// Whether the plan's ticks are tied to an observation (not in sync mode).
    var isPlanAged = false
    /// When the observation was captured that the plan rests on; in sync mode, too.
    var observedTick: Int64?
    /// Chunks observed before this tick belong to a motion that was given up.
    var freshFrom = Int64.min
    var target: [Float]

    package init(_ configuration: Configuration) {
        let zero = [Float](repeating: 0, count: configuration.queue.dimensions)
        let limits = configuration.limits
        let rate = configuration.queue.grid.rate
        self.configuration = configuration
        var chunks = configuration.queue
        chunks.restTicks = rate.ticks(covering: limits.rest)
        queue = ActionQueue(configuration: chunks, startingAt: 0, pose: zero)
        gate = SafetyGate(limits: limits, tick: rate.tick, frozen: configuration.frozen)
        clock = HoldClock(limits: limits, tick: rate.tick)
        watch = FollowingWatch(limits: limits, tick: rate.tick)
        plan = MotionPlan(dimensions: zero.count, arms: limits.arms, rate: rate)
        latch = configuration.latch.map { ClawLatch($0, claws: configuration.queue.claws.count) }
        target = zero
        yieldPose = zero
    }

    /// The command to publish this tick: arms rad, claws 0 to 100.
    package var command: [Float] { gate.output }
    /// Of the control loop, as the rows of chunks are laid on it.
    package var rate: ControlRate { configuration.queue.grid.rate }
    package var arms: Range<Int> { configuration.limits.arms }

    package var phase: SessionPhase {
        switch state {
        case .silent: .silent
        case .approaching: .approaching
        case .homing: .homing
        case .standing: .standing
        case .waiting: .waiting
        case .following: .following
        case .holding: .holding
        case .paused: .paused
        case .stopping: .stopping
        case .stopped: .stopped
        case .leaving: .leaving
        case .ended: .ended
        }
    }

    package func status(at tick: Int64) -> SessionStatus {
        var hold: HoldReason?
        if case .holding(let reason, _) = state { hold = reason }
        return SessionStatus(
            phase: phase,
            tick: tick,
            runwayTicks: queue.runwayTicks,
            runway: runway(at: tick),
            counters: counters,
            completedMove: completedMove,
            hold: hold,
            fault: fault,
            episodeEnd: episodeEnd,
            leaveOrder: leaveOrder,
            isInEpisode: isInEpisode,
            wantsChunks: wantsChunks,
            yields: yields
        )
    }

    /// Motion that may still be executed: until the plan ends, or rests on an observation that is too old.
    func runway(at tick: Int64) -> Duration {
        let left = rate.duration(of: Int(queue.runwayTicks))
        guard isPlanAged, let age = queue.planAge(at: tick) else { return left }
        return min(left, configuration.limits.staleAction - rate.duration(of: Int(age)))
    }

    /// Whether a chunk would be executed.
    var wantsChunks: Bool {
        switch state {
        case .waiting, .following: true
        case .holding(let reason, .episode): reason.isEndedByChunk
        default: false
        }
    }

    var isInEpisode: Bool {
        switch state {
        case .waiting, .following: true
        case .holding(_, .start), .holding(_, .episode): true
        case .paused(.inEpisode), .paused(.approval): true
        case .stopping(.paused(.inEpisode)), .stopping(.paused(.approval)), .stopping(.waiting): true
        default: false
        }
    }
}

// MARK: Coming to rest

extension SessionMachine {
    /// Comes to rest, decelerating when the arms move, and then does `next`. The way out is never given up for another rest.
    mutating func rest(_ next: Rest, at tick: Int64, _ inputs: ControlInputs) {
        switch state {
        case .leaving, .ended, .stopping(.leaving): return
        case .stopping: state = .stopping(next)
        default:
            guard stream == .open, gate.isMoving else { return arrived(next, at: tick, inputs) }
            // Not by a closure: in an unoptimised build that allocates.
            if let way { slowing = Slowing(way: way) } else { slowing = nil }
            gate.brakeBegan()
            state = .stopping(next)
        }
    }

    /// The arms stand.
    mutating func arrived(_ next: Rest, at tick: Int64, _ inputs: ControlInputs) {
        gate.halted()
        switch next {
        case .silent:
            state = .silent
            stream = .none
        case .standing: state = stream == .none ? .silent : .standing
        case .waiting: startOver(at: tick)
        case .paused(let pause): state = .paused(pause)
        case .stopped: state = .stopped
        case .homing(let move): begin(move, at: tick, inputs)
        case .leaving:
            state = .leaving
            stream = .none
        }
    }

    /// Ends the session for good; the first fault is the one that people read.
    ///
    /// - Parameter turnsBack: whether arms that are elsewhere are followed there before the session falls silent.
    mutating func fail(_ fault: Fault, at tick: Int64, _ inputs: ControlInputs, turnsBack: Bool = true) {
        guard self.fault == nil else { return }
        self.fault = fault
        if isInEpisode { episodeEnd = .failed }
        guard fault.isElsewhere, turnsBack, stream == .open else { return rest(.leaving, at: tick, inputs) }
        turnBack(to: inputs)
        yieldTicks = Self.longestYield * gate.stopTicks
        gate.velocityCap = configuration.maximumVelocity ?? .infinity
        state = .stopping(.leaving)
    }

    /// Keeps where the arms are measured now. Not where they will be: a measurement that goes away as the command comes
    /// nearer is none of an arm that stands in another place.
    mutating func turnBack(to inputs: ControlInputs) {
        for index in yieldPose.indices {
            yieldPose[index] = inputs.isMeasured ? inputs.measured[index] : gate.output[index]
        }
    }

    /// Waits for a chunk where the arms stand; nothing observed before counts.
    mutating func startOver(at tick: Int64) {
        queue.reset(at: tick, pose: gate.output)
        planVersion += 1
        observedTick = nil
        freshFrom = queue.endTick
        clock.followed()
        state = .waiting
    }

    /// Opens the stream at the measured pose, unless it is open.
    ///
    /// - Returns: false when there is no pose to start from; the session has then failed.
    mutating func anchored(at tick: Int64, _ inputs: ControlInputs) -> Bool {
        guard inputs.isMeasured else {
            if stream == .open { return true }
            fail(.blind, at: tick, inputs)
            return false
        }
        if let fault = gate.poseMeasured(inputs.measured) {
            fail(fault, at: tick, inputs)
            return false
        }
        guard stream != .open else { return true }
        gate.started(at: inputs.measured)
        watch.reset()
        isYielding = false
        stream = .open
        return true
    }

    /// Writes where a motion from rest begins into `target`: where the arms were told to be, or, when they are elsewhere, where
    /// they are.
    mutating func chooseStart(_ inputs: ControlInputs) {
        for index in target.indices { target[index] = gate.output[index] }
        guard inputs.isMeasured else { return }
        var isElsewhere = false
        for index in arms where abs(inputs.measured[index] - target[index]) > configuration.limits.restTolerance {
            isElsewhere = true
        }
        guard isElsewhere else { return }
        for index in arms where !gate.isFrozen(index) { target[index] = inputs.measured[index] }
    }
}
