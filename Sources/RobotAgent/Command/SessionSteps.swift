import GrootCore
import Logging
import Synchronization

/// A session that the machine has left: a person, a signal or a fault ended it.
struct SessionOver: Error {
    var status: SessionStatus
}

/// The run's hand on the session machine: asks for one step and waits until the status says that it is done.
///
/// Decides nothing about motion: people may stop the arms in the middle of any step, and the step then begins again when they
/// let the run go on. Used by the run's task only.
struct SessionSteps: Sendable {
    /// Time after the end of a move for the arms to settle.
    static let settleLimit: Duration = .seconds(2)
    /// How often the status is looked at; not part of the control path.
    static let period: Duration = .milliseconds(5)
    /// Time within which the control thread takes a request.
    static let answerLimit: Duration = .seconds(2)

    let env: GrabBoxMpcEnv
    let control: ControlThread
    let names: [String]
    let frozen: Set<Int>
    let logger: Logger

    /// Runs `body` and cancels whatever it waits for (a judge, a gateway, a scene) once the machine has left: arms that
    /// nobody commands any more are to be handed back.
    ///
    /// - Throws: `SessionOver` when `body` was cancelled for it.
    func whileDriving(_ body: @escaping @Sendable () async throws -> ProcessExit) async throws -> ProcessExit {
        try await withThrowingTaskGroup(of: ProcessExit?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            group.addTask { [control] in
                while control.status.peek()?.phase.isOver == false { try await Task.sleep(for: Self.period) }
                return nil
            }
            do {
                while let exit = try await group.next() {
                    if let exit { return exit }
                    group.cancelAll()
                }
            } catch is CancellationError {
                if let status = control.status.peek(), status.phase.isOver { throw SessionOver(status: status) }
                throw CancellationError()
            }
            throw CancellationError()
        }
    }

    /// Waits as long as a person wants the arms to stand, or drives them.
    ///
    /// - Throws: `SessionOver` when the session ends meanwhile.
    func clear() async throws {
        var isAnnounced = false
        _ = try await until { status in
            switch status.phase {
            case .silent, .standing: return true
            case .stopped, .paused:
                if !isAnnounced {
                    logger.warning(
                        "the arms stand until a person says home, resume or quit",
                        metadata: ["phase": "\(status.phase.rawValue)"]
                    )
                }
                isAnnounced = true
                return false
            default: return false
            }
        }
    }

    /// Drives the arms home and checks with the measured joints that they arrived.
    ///
    /// - Throws: `AgentError` when an arm did not arrive and `mustArrive` is set.
    func goHome(opensClaws: Bool, mustArrive: Bool) async throws {
        while true {
            try await clear()
            let id = moves.next()
            control.requests.push(.home(id: id, opensClaws: opensClaws))
            let asked = MonotonicInstant.now()
            let status = try await until { status in
                if status.completedMove >= id { return true }
                switch status.phase {
                case .approaching, .homing, .holding, .stopping: return false
                // Not taken yet, or a person took over meanwhile and let go again: the way home then begins anew.
                case .silent, .standing: return MonotonicInstant.now() - asked > Self.answerLimit
                default: return true
                }
            }
            if status.completedMove >= id { break }
        }
        try await confirmArrival(mustArrive: mustArrive)
    }

    /// Begins an episode: from here on chunks are executed.
    func beginEpisode(_ tuning: EpisodeTuning) async throws {
        while true {
            try await clear()
            control.requests.push(.beginEpisode(tuning))
            let status = try await until(within: Self.answerLimit) { ![.silent, .standing].contains($0.phase) }
            if status.isInEpisode { return }
        }
    }

    /// The episode is decided: the arms come to rest.
    func endEpisode() async throws -> SessionStatus {
        control.requests.push(.endEpisode)
        return try await until(within: Self.answerLimit, mayBeOver: true) { !$0.isInEpisode && $0.phase != .stopping }
    }

    /// Commands nothing until the next motion.
    func release() async throws {
        while true {
            try await clear()
            control.requests.push(.release)
            if try await until(within: Self.answerLimit, { $0.phase != .standing }).phase == .silent { return }
        }
    }

    /// Comes to rest and commands nothing any more. Cannot be interrupted.
    func leave() async {
        await Task {
            control.requests.push(.leave)
            do {
                _ = try await until(within: Self.answerLimit, mayBeOver: true) { $0.phase.isOver }
            } catch {
                logger.error("the control thread did not stop commanding", metadata: ["error": "\(error)"])
            }
        }.value
    }

    private let moves = MoveCounter()

    init(env: GrabBoxMpcEnv, control: ControlThread, names: [String], frozen: Set<Int>, logger: Logger) {
        self.env = env
        self.control = control
        self.names = names
        self.frozen = frozen
        self.logger = logger
    }

    @discardableResult
    private func until(
        within limit: Duration? = nil,
        mayBeOver: Bool = false,
        _ isReached: (SessionStatus) -> Bool
    ) async throws -> SessionStatus {
        let start = MonotonicInstant.now()
        while true {
            guard let status = control.status.peek(), control.isRunning else {
                throw AgentError(.safety, "the control thread has ended")
            }
            if isReached(status) { return status }
            if !mayBeOver, status.phase.isOver { throw SessionOver(status: status) }
            if let limit, MonotonicInstant.now() - start > limit {
                throw AgentError(.safety, "the control thread does not answer")
            }
            if mayBeOver {
                // A way out is waited for even when the run is cancelled.
                await Task.detached { try? await Task.sleep(for: Self.period) }.value
            } else {
                try await Task.sleep(for: Self.period)
            }
        }
    }

    private func confirmArrival(mustArrive: Bool) async throws {
        let profile = env.profile
        let limit = MonotonicInstant.now() + Self.settleLimit
        var farthest: (joint: String, distance: Float) = ("", .infinity)
        repeat {
            guard let measured = env.measuredPose else { continue }
            farthest = ("", 0)
            for joint in profile.armJoints where !frozen.contains(joint) {
                let distance = abs(measured[joint] - profile.arm.homeRad[joint])
                if distance > farthest.distance { farthest = (names[joint], distance) }
            }
            if farthest.distance <= profile.arm.arrivalToleranceRad { return }
            try await Task.sleep(for: .milliseconds(20))
        } while MonotonicInstant.now() < limit
        let message =
            "the arms did not reach home: \(farthest.joint) is \(farthest.distance) rad away "
            + "(tolerance \(profile.arm.arrivalToleranceRad)); is something in the way, is external control on?"
        if mustArrive { throw AgentError(.safety, message) }
        logger.warning("\(message)")
    }
}

/// Numbers the drives home of one process.
private final class MoveCounter: Sendable {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
