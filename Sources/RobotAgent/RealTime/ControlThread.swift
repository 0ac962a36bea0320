import Dispatch
import Glibc
package import GrootCore
package import Logging
import Synchronization

/// Turns instants into control ticks and back: tick `k` is due at `epoch + k * 10 ms`.
package struct ControlClock: Sendable {
    package let epoch: MonotonicInstant
    package let tick: Duration = .milliseconds(10)

    package init(epoch: MonotonicInstant) {
        self.epoch = epoch
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

/// The 100 Hz control thread: absolute deadlines, first-in-first-out scheduling when the system grants it.
///
/// Owns `ControlCore`. Talks to the rest of the process only through `commands`, `merges` and `status`;
/// its one side effect is `publish`, called on this thread with the command of the tick. Missed cycles are
/// skipped, never run late in a burst.
package final class ControlThread: Sendable {
    package typealias Publish = @Sendable ([Float]) -> Void
    /// Age of the newest joint state at an instant; nil when there never was one.
    package typealias StateAge = @Sendable (MonotonicInstant) -> Duration?

    /// Requests that wait for the next tick.
    package static let commandCapacity = 64
    /// Priority of the thread among first-in-first-out threads; the kernel's own interrupt threads run at 50.
    package static let priority: Int32 = 20

    package let clock: ControlClock
    package let commands = BoundedRing<ControlCommand>(capacity: commandCapacity)
    package let merges = BoundedRing<MergeReport>(capacity: commandCapacity)
    package let status = LatestValue<ControlStatus>()
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let publish: Publish
    private let stateAge: StateAge
    private let logger: Logger
    private let initialCore: ControlCore

    package init(core: ControlCore, logger: Logger, stateAge: @escaping StateAge, publish: @escaping Publish) {
        self.clock = ControlClock(epoch: .now())
        self.initialCore = core
        self.logger = logger
        self.stateAge = stateAge
        self.publish = publish
        status.store(core.status(at: 0))
    }

    package func start() throws(AgentError) {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<ControlThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            context
        )
        guard result == 0 else {
            unsafe Unmanaged<ControlThread>.fromOpaque(context).release()
            throw AgentError(.unavailable, "the system refused the control thread (error \(result))")
        }
        _ = pthread_detach(thread)
    }

    /// Ends the thread after its current tick. The owner first asks for `.stop` and waits until it is silent.
    package func shutdown() {
        isStopping.store(true, ordering: .releasing)
    }

    package var isRunning: Bool { !hasEnded.load(ordering: .acquiring) }

    private func run() {
        askForRealTime()
        var core = initialCore
        let toSystemClock = Self.systemNanoseconds() - MonotonicInstant.now().nanoseconds
        var tick = clock.tick(of: .now()) + 1
        var previous = tick - 1
        while !isStopping.load(ordering: .acquiring) {
            Self.sleep(until: clock.instant(of: tick).nanoseconds + toSystemClock)
            let now = MonotonicInstant.now()
            let late = (now - clock.instant(of: tick)).nanoseconds / clock.tick.nanoseconds
            if late > 0 { tick += late }
            while let command = commands.pop() {
                if let report = core.received(command, at: tick) { merges.push(report) }
            }
            let isPublishing = core.ticked(tick, elapsed: Int(tick - previous), stateAge: stateAge(now))
            if isPublishing { publish(core.command) }
            status.store(core.status(at: tick))
            previous = tick
            tick += 1
        }
        hasEnded.store(true, ordering: .releasing)
    }

    private func askForRealTime() {
        var parameters = sched_param()
        parameters.sched_priority = Self.priority
        let scheduling = unsafe pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters)
        if scheduling != 0 {
            logger.warning(
                "real-time scheduling was refused; ticks may be late when the machine is busy",
                metadata: ["error": "\(scheduling)", "wanted": "LimitRTPRIO=\(Self.priority)"]
            )
        }
        if mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE)) != 0 {
            logger.warning(
                "memory could not be locked; ticks may be late when memory is short",
                metadata: ["error": "\(errno)", "wanted": "LimitMEMLOCK=infinity"]
            )
        }
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
