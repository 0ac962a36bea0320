package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Tells systemd how the process is: started, alive, stopping (the protocol of `sd_notify`).
///
/// Without `NOTIFY_SOCKET` every call does nothing, so it costs nobody a thought outside systemd. While `run` runs, it
/// sends a sign of life at a third of the time that `WatchdogSec=` allows, as long as `isAlive` says so; a process that
/// hangs is then killed and restarted. Any thread.
package struct ServiceNotifier: Service {
    /// Answers within a moment when the parts that matter still move; an answer that never comes is a hang.
    package typealias LivenessProbe = @Sendable () async -> Bool

    private let socket: String?
    private let watchdog: Duration?
    private let isAlive: LivenessProbe
    private let logger: Logger

    /// - Parameter environment: of the process; systemd's three variables are read.
    package init(
        environment: [String: String],
        processIdentifier: Int32,
        logger: Logger,
        isAlive: @escaping LivenessProbe = { true }
    ) {
        socket = environment["NOTIFY_SOCKET"]
        self.isAlive = isAlive
        self.logger = logger
        let isMine = environment["WATCHDOG_PID"].map { $0 == "\(processIdentifier)" } ?? true
        watchdog = isMine ? environment["WATCHDOG_USEC"].flatMap(Int64.init).map { .microseconds($0) } : nil
    }

    /// The process does what it is there for.
    package func ready(_ status: String) async {
        await send("READY=1\nSTATUS=\(status)")
    }

    package func status(_ text: String) async {
        await send("STATUS=\(text)")
    }

    /// Sends signs of life until the process drains, then says so.
    package func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                guard let watchdog, watchdog > .zero else {
                    try await gracefulShutdown()
                    return
                }
                while true {
                    if await isAlive() {
                        await send("WATCHDOG=1")
                    } else {
                        logger.error("a part of the process does not move; no sign of life is sent")
                    }
                    try await Task.sleep(for: watchdog / 3)
                }
            }
        } catch is CancellationError {}
        await send("STOPPING=1\nSTATUS=draining")
    }

    private func send(_ message: String) async {
        guard let socket else { return }
        do {
            let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(unixDomainSocketPath: socket).get()
            try await channel.writeAndFlush(ByteBuffer(string: message))
            try await channel.close()
        } catch {
            // systemd will treat the silence as it was told to; the work goes on.
            logger.warning("systemd cannot be told", metadata: ["peer": "\(socket)", "error": "\(error)"])
        }
    }
}
