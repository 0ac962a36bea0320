package import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A ROS master and parameter server in this process, so that no ROS installation is needed.
///
/// Its state sits behind one lock; calls are answered on its server's event loop.
package final class ROSMaster: Sendable {
    private struct Running: Sendable {
        var group: MultiThreadedEventLoopGroup
        var server: XMLRPCServer
        var notifier: MasterNotifier
    }

    private let host: String
    private let port: Int
    private let logger: Logger
    private let running = Mutex<Running?>(nil)

    /// - Parameter port: 0 picks a free one.
    package init(host: String = "127.0.0.1", port: Int, logger: Logger) {
        self.host = host
        self.port = port
        self.logger = logger
    }

    /// Binds and returns the port.
    ///
    /// Each start begins with nothing registered.
    ///
    /// - Throws: `unreachable` when the port is taken, `invalidUse` when it runs already.
    package func start() async throws(ROSError) -> Int {
        guard running.withLock({ $0 == nil }) else { throw ROSError(.invalidUse, "the master runs already") }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let notifier = MasterNotifier(client: XMLRPCClient(group: group), logger: logger)
        let state = MasterState()
        do {
            let server = try await XMLRPCServer.start(host: host, port: port, group: group) {
                (method, parameters) throws(ROSError) in
                try state.api.withLock { api throws(ROSError) in
                    let (result, notices) = try api.handle(method, parameters)
                    // Under the lock, so that notices leave in the order of the changes that caused them.
                    notifier.send(notices)
                    return result
                }
            }
            let uri = "http://\(ROSAddress(host: host, port: server.port).authority)/"
            state.api.withLock { $0.uri = uri }
            running.withLock { $0 = Running(group: group, server: server, notifier: notifier) }
            logger.info("ROS master started", metadata: ["uri": "\(uri)"])
            return server.port
        } catch {
            // The group's own failure to stop would hide the reason that matters.
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Forgets everything and closes all connections; idempotent.
    package func stop() async {
        let stopping = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let stopping else { return }
        await stopping.server.stop()
        await stopping.notifier.stop()
        do {
            try await stopping.group.shutdownGracefully()
        } catch {
            logger.warning("event loops did not stop cleanly", metadata: ["error": "\(error)"])
        }
    }
}

/// The master's state; any thread.
private final class MasterState: Sendable {
    let api = Mutex(MasterAPI())
}
