package import Logging

package final class ROSMaster: Sendable {
    package init(host: String = "127.0.0.1", port: Int, logger: Logger) {}

    package func start() async throws(ROSError) -> Int { throw ROSError(.invalidUse, "not implemented yet") }

    package func stop() async {}
}
