import Glibc

/// An exclusive lock on a directory for the life of this object (or process): two gateways never share a cluster.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `stateDirectory` when another process holds the lock or the file cannot be made.
    init(path: String) throws(StoreError) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError(.stateDirectory, "cannot create \(path): \(unsafe String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw StoreError(
                .stateDirectory,
                "another gateway uses \(path); stop it, or give this one its own --state-dir"
            )
        }
    }

    deinit {
        close(descriptor)
    }
}
