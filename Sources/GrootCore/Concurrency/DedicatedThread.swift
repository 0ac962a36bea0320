import Foundation
import Synchronization

/// A serial executor on one and the same operating system thread, for work that blocks: one libpq connection, one model
/// runtime. CUDA and ONNX Runtime keep contexts and captured graphs per thread, and a dispatch queue may change its
/// thread between two jobs.
///
/// Use as the executor of an actor (`nonisolated var unownedExecutor`): everything the actor owns is then touched from
/// this thread only, and the cooperative pool never blocks. The thread ends when the executor is gone.
package final class DedicatedThread: SerialExecutor {
    /// What both sides hold. Jobs keep the executor alive until they have run.
    private final class Inbox: Sendable {
        let jobs = Mutex<[(UnownedJob, DedicatedThread)]>([])
        let isOver = Mutex(false)
        let signal = DispatchSemaphore(value: 0)
    }

    private static let stackBytes = 8 << 20

    private let inbox = Inbox()

    package init(name: String) {
        let thread = Thread { [inbox] in Self.work(inbox) }
        thread.name = name
        thread.stackSize = Self.stackBytes
        thread.start()
    }

    deinit {
        inbox.isOver.withLock { $0 = true }
        inbox.signal.signal()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        inbox.jobs.withLock { $0.append((job, self)) }
        inbox.signal.signal()
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    private static func work(_ inbox: Inbox) {
        while true {
            inbox.signal.wait()
            if let (job, executor) = inbox.jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor())
            } else if inbox.isOver.withLock({ $0 }) {
                return
            }
        }
    }
}
