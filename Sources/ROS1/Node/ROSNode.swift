package import GrootCore
package import Logging

package final class ROSNode: Sendable {
    package let name: String

    package init(
        name: String,
        masterURI: String,
        host: String = "127.0.0.1",
        logger: Logger,
        metrics: MetricsRegistry? = nil
    ) {
        self.name = name
    }

    package func start() async throws(ROSError) { throw unimplemented }

    package func shutdown() async {}

    package func advertise<M: ROSMessage>(
        _ topic: String,
        as type: M.Type,
        latched: Bool = false,
        queue: Int = 10
    ) async throws(ROSError) -> ROSPublisher<M> { throw unimplemented }

    package func subscribe<M: ROSMessage>(
        _ topic: String,
        to type: M.Type,
        handler: @escaping @Sendable (M, ROSReceipt) -> Void
    ) async throws(ROSError) -> ROSSubscription { throw unimplemented }

    package func advertiseService<S: ROSService>(
        _ name: String,
        as type: S.Type,
        handler: @escaping @Sendable (S.Request) async throws -> S.Response
    ) async throws(ROSError) { throw unimplemented }

    package func callService<S: ROSService>(
        _ name: String,
        as type: S.Type,
        request: S.Request,
        timeout: Duration
    ) async throws(ROSError) -> S.Response { throw unimplemented }

    package func waitForService(_ name: String, timeout: Duration) async throws(ROSError) { throw unimplemented }

    package func publishedTopics() async throws(ROSError) -> [String: String] { throw unimplemented }

    private var unimplemented: ROSError { ROSError(.invalidUse, "not implemented yet") }
}
