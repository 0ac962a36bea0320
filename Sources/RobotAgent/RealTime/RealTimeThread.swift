import CRealTime
import Glibc
package import Logging

/// How a thread wants to run; what the system refuses is a warning, never an exit.
package struct RealTimeSettings: Sendable, Equatable {
    /// Priority of the control thread among first-in-first-out threads; the kernel's own interrupt threads run at 50.
    package static let priority: Int32 = 20

    /// False runs without asking for real-time rights, for comparison.
    package var isWanted = true
    /// Processor that the control thread stays on; nil leaves the choice to the kernel.
    package var cpu: Int?

    package init() {}
}

/// A POSIX thread that runs `body` once; the block keeps itself alive until it ends.
package enum RealTimeThread {
    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Parameter name: at most 15 bytes, shown by `ps -L` and `top -H`.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(AgentError) {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(Body(name: name, run: body)).toOpaque()
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                unsafe groot_name_thread(body.name)
                body.run()
                return nil
            },
            context
        )
        guard result == 0 else {
            unsafe Unmanaged<Body>.fromOpaque(context).release()
            throw AgentError(.unavailable, "the system refused the \(name) thread (error \(result))")
        }
        _ = pthread_detach(thread)
    }

    /// Asks for first-in-first-out scheduling, locked memory and a processor; called on the thread itself.
    package static func elevate(_ settings: RealTimeSettings, logger: Logger) {
        if let cpu = settings.cpu { pin(to: cpu, logger: logger) }
        guard settings.isWanted else { return }
        var parameters = sched_param()
        parameters.sched_priority = RealTimeSettings.priority
        let scheduling = unsafe pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters)
        if scheduling != 0 {
            logger.warning(
                "real-time scheduling was refused; ticks may be late when the machine is busy",
                metadata: ["error": "\(scheduling)", "wanted": "LimitRTPRIO=\(RealTimeSettings.priority)"]
            )
        }
        // MCL_ONFAULT: pages are locked as they are used, so that idle stacks cost no memory.
        if mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | 4) != 0 {
            logger.warning(
                "memory could not be locked; ticks may be late when memory is short",
                metadata: ["error": "\(errno)", "wanted": "LimitMEMLOCK=infinity"]
            )
        }
    }

    private static func pin(to cpu: Int, logger: Logger) {
        let result = groot_pin_thread(Int32(clamping: cpu))
        if result != 0 {
            logger.warning(
                "the control thread could not be pinned to a processor",
                metadata: ["error": "\(result)", "wanted": "--control-cpu \(cpu)"]
            )
        }
    }
}
