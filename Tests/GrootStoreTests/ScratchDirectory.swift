import Foundation
import Glibc
import Synchronization

/// Cleans up at the end of the test process: ends servers that tests left running, removes their directories.
final class ScratchDirectory: Sendable {
    static let shared = ScratchDirectory()

    private let servers = Mutex<[@Sendable () -> Int32?]>([])

    private init() {
        atexit {
            let servers = ScratchDirectory.shared.servers.withLock { $0 }
            for server in servers {
                if let id = server() { kill(id, SIGKILL) }
            }
            let directory = "/tmp/groot-store-tests-\(ProcessInfo.processInfo.processIdentifier)"
            // Nothing to remove when no test needed a directory.
            try? FileManager.default.removeItem(atPath: directory)
        }
    }

    func keep() {}

    func stopAtExit(_ server: @escaping @Sendable () -> Int32?) {
        servers.withLock { $0.append(server) }
    }
}
