import Foundation
import Glibc
import GrootCore
import GrootStore
import Logging
import Synchronization
import Testing

/// What the writers of the crash test saw.
private final class Progress: Sendable {
    private struct State {
        var sequences: Set<Int64> = []
        var refusals = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.sequences.count } }
    var refusals: Int { state.withLock { $0.refusals } }

    func acknowledged(_ sequences: [Int64]) { state.withLock { $0.sequences.formUnion(sequences) } }
    func refused() { state.withLock { $0.refusals += 1 } }
}

@Suite(.needsPostgres)
struct EmbeddedClusterTests {
    private func count(_ store: Store) async throws -> [Int64] {
        try await store.withConnection("count") { (connection) throws(StoreError) in
            let row = try connection.execute("SELECT count(*), count(DISTINCT sequence) FROM inferences").rows[0]
            return [try row.integer(0), try row.integer(1)]
        }
    }

    /// The server is killed three times while batches are written and repeated as an agent would.
    @Test func everyAcknowledgedRecordSurvivesKill9ExactlyOnce() async throws {
        let directory = TestCluster.temporaryDirectory("kill9")
        try await withStore(.embedded(stateDirectory: directory)) { store in
            let progress = Progress()
            let total: Int64 = 3000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in Int64(0)..<3 {
                    group.addTask {
                        for first in stride(from: lane * 10, to: total, by: 30) {
                            let batch = (first..<first + 10).map { InferenceRow(robot: "r", boot: "b", sequence: $0) }
                            while true {
                                do {
                                    try await store.insertInferences(batch)
                                    break
                                } catch let error as StoreError {
                                    #expect(error.isTransient, "\(error)")
                                    progress.refused()
                                    try await Task.sleep(for: .milliseconds(20))
                                }
                            }
                            progress.acknowledged(batch.map(\.sequence))
                        }
                    }
                }
                group.addTask {
                    for share in [200, 1000, 2000] {
                        try await eventually("batches arrive") { progress.count >= share }
                        let server = try #require(store.serverProcess)
                        kill(server, SIGKILL)
                        try await eventually("another server runs") {
                            store.serverProcess.map { $0 != server } ?? false
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(progress.refusals > 0)
            #expect(progress.count == Int(total))
            try await expect(count(store), is: [total, total])
        }
    }

    @Test func nextStartTakesOverWhatAnEarlierGatewayLeftRunning() async throws {
        let directory = TestCluster.temporaryDirectory("takeover")
        let row = InferenceRow(robot: "r", boot: "b", sequence: 1)
        let first = try await withStore(.embedded(stateDirectory: directory)) { store -> Int32 in
            try await store.insertInferences([row])
            return try #require(store.serverProcess)
        }
        #expect(kill(first, 0) != 0, "stopping the store stops its server")

        // Start the server behind the store's back, as a gateway that was killed leaves it.
        let orphan = try await Orphan.start(directory: directory)
        #expect(kill(orphan, 0) == 0)
        try await withStore(.embedded(stateDirectory: directory)) { store in
            #expect(store.serverProcess != orphan)
            try await expect(count(store), is: [1, 1])
        }
    }

    @Test func stalePidFileOfALiveForeignProcessIsIgnored() async throws {
        let directory = TestCluster.temporaryDirectory("stale")
        try await withStore(.embedded(stateDirectory: directory)) { _ in }
        let file = directory + "/postgres/data/postmaster.pid"
        try "\(getpid())\n\(directory)/postgres/data\n1\n5432\n\n\n0 0\nready\n"
            .write(toFile: file, atomically: true, encoding: .utf8)
        try await withStore(.embedded(stateDirectory: directory)) { store in
            try await expect(count(store), is: [0, 0])
        }
    }

    /// Whoever works in the data directory, with or without a pid file that names them, is left alone.
    @Test func onlyTheServersOwnProcessesAreEnded() async throws {
        let directory = TestCluster.temporaryDirectory("strangers")
        try await withStore(.embedded(stateDirectory: directory)) { _ in }
        let data = directory + "/postgres/data"
        let stranger = Process()
        stranger.executableURL = URL(fileURLWithPath: "/bin/sleep")
        stranger.arguments = ["600"]
        stranger.currentDirectoryURL = URL(fileURLWithPath: data)
        // It would hold the output of the tests open.
        stranger.standardOutput = FileHandle.nullDevice
        stranger.standardError = FileHandle.nullDevice
        try stranger.run()
        // Started from a thread that blocks SIGTERM, it inherits that.
        defer { kill(stranger.processIdentifier, SIGKILL) }
        let orphan = try await Orphan.start(directory: directory)
        try await withStore(.embedded(stateDirectory: directory)) { store in
            #expect(
                store.serverProcess != nil && store.serverProcess != orphan,
                "the server that nobody stopped is ended"
            )
            #expect(stranger.isRunning, "a process that only works there is not")
            try await expect(count(store), is: [0, 0])
        }
        try "\(stranger.processIdentifier)\n\(data)\n\(Int(Date().timeIntervalSince1970))\n5432\n\n\n0 0\nready\n"
            .write(toFile: data + "/postmaster.pid", atomically: true, encoding: .utf8)
        try await withStore(.embedded(stateDirectory: directory)) { store in
            #expect(stranger.isRunning, "nor when a pid file names it")
            try await expect(count(store), is: [0, 0])
        }
    }

    @Test func unfinishedInitialisationIsMadeAnew() async throws {
        let directory = TestCluster.temporaryDirectory("unfinished")
        try await withStore(.embedded(stateDirectory: directory)) { _ in }
        try FileManager.default.moveItem(
            atPath: directory + "/postgres/data",
            toPath: directory + "/postgres/data.unfinished"
        )
        try await withStore(.embedded(stateDirectory: directory)) { store in
            try await expect(count(store), is: [0, 0])
        }
    }

    @Test func longStateDirectoryStillGetsASocket() async throws {
        let directory = TestCluster.temporaryDirectory(String(repeating: "long/", count: 20) + "end")
        let socket = try await withStore(.embedded(stateDirectory: directory)) { store -> String in
            try await expect(count(store), is: [0, 0])
            return try #require(store.psqlCommand?.split(separator: " ").dropFirst(2).first.map(String.init))
        }
        #expect(socket.hasPrefix("/tmp/groot-"))
        try FileManager.default.removeItem(atPath: socket)
    }

    /// A directory that the server's user cannot enter: every try says so, and the first one after the repair works.
    @Test(.enabled(if: geteuid() == 0, "only root runs the server as another user"))
    func aDirectoryThatCannotBeEnteredIsNamedEveryTime() async throws {
        let parent = TestCluster.temporaryDirectory("closed")
        let files = FileManager.default
        try files.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: parent)
        let cluster = EmbeddedCluster(stateDirectory: parent + "/state", logger: Logger(label: "test"))
        for _ in 0..<2 {
            let error = await #expect(throws: StoreError.self) { try await cluster.run() }
            #expect(error?.code == .stateDirectory)
            #expect(error?.message.contains("whose parent directories others may enter") == true, "\(error as Any)")
        }
        try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: parent)
        let running = Task { try await cluster.run() }
        let deadline = MonotonicInstant.now() + .seconds(30)
        while cluster.serverProcess == nil, MonotonicInstant.now() < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(cluster.serverProcess != nil)
        running.cancel()
        _ = await running.result
    }

    @Test func secondGatewayOnTheSameDirectoryIsRefused() async throws {
        let directory = TestCluster.temporaryDirectory("twice")
        try await withStore(.embedded(stateDirectory: directory)) { store in
            let server = store.serverProcess
            let second = EmbeddedCluster(stateDirectory: directory, logger: .init(label: "test"))
            let error = await #expect(throws: StoreError.self) { try await second.run() }
            #expect(error?.code == .stateDirectory)
            #expect(error?.message.contains("another gateway") == true)
            #expect(store.serverProcess == server)
        }
    }

    @Test func stoppedServerIsADeadlineNotAHang() async throws {
        let conninfo = try await TestCluster.shared.database()
        let connection = try PostgresConnection(conninfo: conninfo, timeout: .milliseconds(300))
        let backend = connection.serverProcess
        kill(backend, SIGSTOP)
        defer { kill(backend, SIGCONT) }
        let error = #expect(throws: StoreError.self) { try connection.execute("SELECT 1") }
        #expect(error?.code == .timedOut)
        #expect(connection.isBroken)
    }
}
