import CDispatch
import Glibc
package import GrootCore
package import Logging
package import Synchronization

/// Turns instants into control ticks and back: tick `k` is due `k` ticks after `epoch`.
package struct ControlClock: Sendable {
    package let epoch: MonotonicInstant
    package let tick: Duration

    package init(epoch: MonotonicInstant, rate: ControlRate) {
        self.epoch = epoch
        self.tick = rate.tick
    }

    /// The tick nearest to `instant`.
    package func tick(of instant: MonotonicInstant) -> Int64 {
        let distance = (instant - epoch).nanoseconds
        return Int64((Double(distance) / Double(tick.nanoseconds)).rounded())
    }

    package func instant(of tick: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: epoch.nanoseconds + tick * self.tick.nanoseconds)
    }
}

/// What the control thread leaves behind of every tick, for histograms and samples.
package struct TickTrace: Sendable {
    package var latenessNanoseconds: Int64
    package var runwayTicks: Int64
    package var isPublishing: Bool
}

/// The control thread: absolute deadlines at the profile's rate, first-in-first-out scheduling when the system grants it.
///
/// Owns `SessionMachine`. Talks to the rest of the process only through `orders`, `requests`, `merges`, `status`, `board`
/// and `traces`. `publish` writes the command to the robot's sockets on this thread, so that nothing else has to be
/// scheduled before it leaves; neither it nor anything else here allocates or waits (`AllocationSerialTests`). Missed
/// cycles are skipped, never run late in a burst.
package final class ControlThread: Sendable {
    /// Sends a command. Must not allocate or block.
    package typealias Publish = @Sendable ([Float]) -> Void
    /// Fills in what is known of the robot at an instant; called at every tick. Must not allocate or block.
    package typealias Sense = @Sendable (MonotonicInstant, inout ControlInputs) -> Void

    /// Requests that wait for the next tick.
    package static let requestCapacity = 64
    /// Ticks whose trace waits to be read: a second at the fastest rate, ten at 100 Hz.
    package static let traceCapacity = 1000
    package static let name = "groot-control"

    package let clock: ControlClock
    /// What people and the system order; obeyed at the next tick, in every phase.
    package let orders: OrderInbox
    package let requests = BoundedRing<ControlRequest>(capacity: requestCapacity)
    package let merges = BoundedRing<MergeReport>(capacity: requestCapacity)
    package let status = LatestValue<SessionStatus>()
    package let traces = BoundedRing<TickTrace>(capacity: traceCapacity)
    package let board: PlanBoard
    /// Set by the uplink.
    package let link = Atomic<LinkState>(.reachable)
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let publish: Publish
    private let sense: Sense
    private let settings: RealTimeSettings
    private let logger: Logger
    private let initial: SessionMachine

    package init(
        machine: SessionMachine,
        orders: OrderInbox = OrderInbox(),
        settings: RealTimeSettings = RealTimeSettings(),
        logger: Logger,
        sense: @escaping Sense,
        publish: @escaping Publish
    ) {
        self.clock = ControlClock(epoch: .now(), rate: machine.rate)
        self.initial = machine
        self.orders = orders
        self.settings = settings
        self.board = PlanBoard(for: machine.queue.configuration)
        self.logger = logger
        self.sense = sense
        self.publish = publish
        status.store(machine.status(at: 0))
    }

    package func start() throws(AgentError) {
        do {
            try RealTimeThread.start(Self.name) { self.run() }
        } catch {
            hasEnded.store(true, ordering: .releasing)
            throw error
        }
    }

    /// Ends the thread after its current tick. The owner first asks for `.leave` and waits until it is silent.
    package func shutdown() {
        isStopping.store(true, ordering: .releasing)
    }

    package var isRunning: Bool { !hasEnded.load(ordering: .acquiring) }

    private func run() {
        RealTimeThread.elevate(settings, logger: logger)
        var machine = initial
        var planVersion = machine.planVersion
        var inputs = ControlInputs(dimensions: machine.command.count, arms: machine.arms)
        let toSystemClock = Self.systemNanoseconds() - MonotonicInstant.now().nanoseconds
        var tick = clock.tick(of: .now()) + 1
        var previous = tick - 1
        while !isStopping.load(ordering: .acquiring) {
            Self.sleep(until: clock.instant(of: tick).nanoseconds + toSystemClock)
            let now = MonotonicInstant.now()
            let lateness = (now - clock.instant(of: tick)).nanoseconds
            let late = lateness / clock.tick.nanoseconds
            if late > 0 { tick += late }
            sense(now, &inputs)
            inputs.link = link.load(ordering: .relaxed)
            let (ordered, interrupts) = orders.take()
            machine.ordered(ordered, interrupts: interrupts, at: tick, inputs)
            while let request = requests.pop() {
                let report = machine.requested(request, at: tick, inputs)
                if machine.planVersion != planVersion {
                    board.store(machine.queue)
                    planVersion = machine.planVersion
                }
                if let report { merges.push(report) }
            }
            let isPublishing = machine.ticked(tick, elapsed: Int(tick - previous), inputs)
            if isPublishing { publish(machine.command) }
            status.store(machine.status(at: tick))
            traces.push(
                TickTrace(
                    latenessNanoseconds: lateness,
                    runwayTicks: machine.queue.runwayTicks,
                    isPublishing: isPublishing
                )
            )
            previous = tick
            tick += 1
        }
        hasEnded.store(true, ordering: .releasing)
    }

    private static func systemNanoseconds() -> Int64 {
        var now = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    private static func sleep(until nanoseconds: Int64) {
        var deadline = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nil) == EINTR {}
    }
}
