import Dispatch

/// A serial executor of its own for work that blocks: one libpq connection, one model runtime.
///
/// Use as the executor of an actor (`nonisolated var unownedExecutor`): everything the actor owns is
/// then touched from this queue only, and the cooperative pool never blocks.
package final class DedicatedThread: SerialExecutor {
    private let queue: DispatchQueue

    package init(name: String) {
        queue = DispatchQueue(label: name)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { [self] in
            unsafe job.runSynchronously(on: asUnownedSerialExecutor())
        }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }
}
