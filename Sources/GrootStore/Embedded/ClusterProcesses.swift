import Foundation
import Glibc
import GrootCore

/// The server processes of one data directory: those that its pid file and their start times prove to be its own.
///
/// Process ids in `postmaster.pid` may be stale and reused, above all in containers, and anybody's shell or script may
/// work in the directory. So a process is the cluster's only when it runs `postgres` there and is not older than the
/// postmaster that the pid file names, whose start time must be the one that was written down. Nothing else is ever ended.
struct ClusterProcesses: Sendable {
    let data: String
    /// Id and start of the postmaster, as this program saw them.
    let record: String

    /// How far the start time in the pid file, a wall clock, may be from what the kernel says.
    private static let wallClockTolerance: Int64 = 5

    /// Ids of all live processes of the cluster, postmaster included.
    func ids() -> [Int32] {
        guard let born = postmasterStart() else { return [] }
        // No /proc: no processes that we could know of.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap(Int32.init).filter { id in
            guard runsPostgresHere(id), let started = ProcessStart.of(id) else { return false }
            return started.ticks >= born.ticks
        }
    }

    /// Writes down who the postmaster is; a clock that is set later cannot make it a stranger.
    func noteServing() {
        guard let id = recordedPostmaster(), let start = ProcessStart.of(id) else { return }
        let text = "\(id) \(start.ticks) \(ProcessStart.bootID)\n"
        // Without it the pid file's own start time must do.
        try? Data(text.utf8).write(to: URL(fileURLWithPath: record), options: .atomic)
    }

    /// When the postmaster of the pid file started, nil when no server can be proven to be ours.
    ///
    /// A postmaster that is gone is believed: its processes may outlive it.
    private func postmasterStart() -> ProcessStart? {
        guard let id = recordedPostmaster() else { return nil }
        let noted = notedStart(of: id)
        guard let running = ProcessStart.of(id), runsPostgresHere(id) else { return noted ?? writtenStart() }
        if let noted { return noted.ticks == running.ticks ? running : nil }
        guard let written = writtenStart(),
            abs(written.ticks - running.ticks) <= Self.wallClockTolerance * ProcessStart.ticksPerSecond
        else { return nil }
        return running
    }

    private func notedStart(of id: Int32) -> ProcessStart? {
        // No file: nobody noted it.
        guard let text = try? String(contentsOfFile: record, encoding: .utf8) else { return nil }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, words[0] == "\(id)", words[2] == ProcessStart.bootID else { return nil }
        return Int64(words[1]).map { ProcessStart(ticks: $0) }
    }

    /// The third line of the pid file.
    private func writtenStart() -> ProcessStart? {
        pidFileLines.dropFirst(2).first.flatMap { Int64($0) }.flatMap(ProcessStart.init(unixSeconds:))
    }

    private func runsPostgresHere(_ id: Int32) -> Bool {
        // Unreadable or gone: not ours.
        guard let directory = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/cwd"),
            directory == data,
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/exe")
        else { return false }
        // An upgrade of the package leaves the running program deleted.
        let name = program.split(separator: "/").last ?? ""
        return name == "postgres" || name == "postgres (deleted)"
    }

    /// The process id that the server wrote into its pid file, nil without one.
    func recordedPostmaster() -> Int32? {
        pidFileLines.first.flatMap { Int32($0) }
    }

    private var pidFileLines: [Substring] {
        // No file: no server.
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8) else { return [] }
        return text.split(separator: "\n", omittingEmptySubsequences: false)
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
