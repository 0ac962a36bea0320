import Foundation
import Glibc
import GrootCore

/// The server processes that work in one data directory, found by their working directory.
///
/// Process ids in `postmaster.pid` may be stale and reused, above all in containers; a working directory is not.
struct ClusterProcesses: Sendable {
    let data: String

    /// Ids of all live processes of the cluster, postmaster included.
    func ids() -> [Int32] {
        // No /proc: no processes that we could know of.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap(Int32.init).filter { id in
            // Unreadable or gone: not ours.
            let directory = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/cwd")
            return directory == data
        }
    }

    /// The process id that the server wrote into its pid file, nil without one.
    func recordedPostmaster() -> Int32? {
        // No file: no server.
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first.flatMap { Int32($0) }
    }

    /// Ends what an earlier gateway left running and removes a pid file that would mislead the next server.
    ///
    /// - Returns: true when something was running.
    func stopLeftovers() async throws(StoreError) -> Bool {
        var running = ids()
        guard !running.isEmpty else {
            // PostgreSQL believes any live process with this id, so a reused id would stop it from starting.
            // The file may be absent.
            try? FileManager.default.removeItem(atPath: data + "/postmaster.pid")
            return false
        }
        // SIGINT asks a postmaster for a fast shutdown; the others follow.
        let steps: [(signal: Int32, budget: Duration)] = [
            (SIGINT, .seconds(20)), (SIGQUIT, .seconds(5)), (SIGKILL, .seconds(5)),
        ]
        let postmaster = recordedPostmaster().flatMap { running.contains($0) ? $0 : nil }
        for step in steps {
            for id in postmaster.map({ [$0] }) ?? running { kill(id, step.signal) }
            let deadline = MonotonicInstant.now() + step.budget
            while MonotonicInstant.now() < deadline {
                running = ids()
                if running.isEmpty { return true }
                do {
                    try await Task.sleep(for: .milliseconds(20))
                } catch {
                    throw StoreError(.unavailable, "stopped while an earlier database server was shutting down")
                }
            }
            if step.signal == SIGQUIT { for id in running { kill(id, SIGKILL) } }
        }
        throw StoreError(
            .clusterFailed,
            "processes \(running) of an earlier database server in \(data) do not end; end them and start again"
        )
    }
}
