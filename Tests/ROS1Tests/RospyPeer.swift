import Foundation
import GrootCore
import Synchronization
import Testing

/// Whether Debian's ROS tools are here; under `CI=true` they have to be, so the tests run and fail.
enum ROSTools {
    static let shouldTest: Bool =
        ProcessInfo.processInfo.environment["CI"] == "true"
        || ["/usr/bin/rosmaster", "/usr/bin/rostopic", "/usr/lib/python3/dist-packages/rospy/__init__.py"]
            .allSatisfy { FileManager.default.fileExists(atPath: $0) }
    static let absent: Comment = "needs apt packages python3-rosmaster python3-rospy python3-rostopic"
}

/// A process of `Peers/peer.py`; it ends when this object goes away or the test process dies.
final class RospyPeer: Sendable {
    private let process: Process
    private let scratch: URL
    private let input: Pipe
    private let output = Mutex<[UInt8]>([])
    private let commands = Mutex(0)

    init(_ arguments: [String], masterURI: String) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers/peer.py")
        scratch = FileManager.default.temporaryDirectory.appending(path: "ros1-tests-\(UUID().uuidString)")
        process = Process()
        input = Pipe()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [script.path] + arguments
        process.environment = [
            "PATH": "/usr/bin:/bin", "ROS_MASTER_URI": masterURI, "ROS_HOSTNAME": "127.0.0.1", "HOME": scratch.path,
            "ROS_LOG_DIR": scratch.appending(path: "log").path, "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8",
        ]
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        process.standardInput = input
        process.standardOutput = output
        let log = scratch.appending(path: "stderr.log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        process.standardError = try FileHandle(forWritingTo: log)
        output.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            self?.output.withLock { $0 += data }
        }
        try process.run()
    }

    deinit {
        kill()
        // Left-over scratch files harm nobody.
        try? FileManager.default.removeItem(at: scratch)
    }

    /// A rospy node, ready to take commands.
    static func node(_ name: String, masterURI: String) async throws -> RospyPeer {
        let peer = try RospyPeer(["node", name], masterURI: masterURI)
        _ = try await peer.event("ready")
        return peer
    }

    /// Ends the process the hard way: nothing gets unregistered.
    func kill() {
        // Closing twice or a process that has ended already both leave nothing to do.
        try? input.fileHandleForWriting.close()
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    }

    func waitUntilExit() async throws {
        try await eventually("the peer ends") { !process.isRunning }
    }

    /// What the peer wrote to standard error.
    private var complaints: String {
        // No file means nothing was written.
        (try? String(contentsOf: scratch.appending(path: "stderr.log"), encoding: .utf8).suffix(2000)).map { "\($0)" }
            ?? ""
    }

    var text: String { output.withLock { String(decoding: $0, as: UTF8.self) } }

    /// The first event of the kind that satisfies the condition, waiting for it.
    func event(_ kind: String, where matches: ([String: Any]) -> Bool = { _ in true }) async throws -> [String: Any] {
        var found: [String: Any]?
        try await eventually(
            "\(kind) from the rospy peer; so far: \(text.suffix(2000)) \(complaints)",
            within: .seconds(20)
        ) {
            found = events.first { $0["event"] as? String == kind && matches($0) }
            return found != nil
        }
        return try #require(found)
    }

    func messages(on topic: String) -> [[String: Any]] {
        events.filter { $0["event"] as? String == "message" && $0["topic"] as? String == topic }
            .compactMap { $0["value"] as? [String: Any] }
    }

    /// Sends a command and returns its answer.
    @discardableResult
    func command(_ operation: String, _ arguments: [String: Any] = [:]) async throws -> [String: Any] {
        let number = commands.withLock { count in
            count += 1
            return count
        }
        let line = arguments.merging(["op": operation, "id": number]) { first, _ in first }
        try input.fileHandleForWriting.write(contentsOf: JSONSerialization.data(withJSONObject: line) + Data([10]))
        let answer = try await event("done") { $0["id"] as? Int == number }
        if let failure = answer["failure"] { throw PeerFailure(text: "\(operation): \(failure)") }
        return answer
    }

    private var events: [[String: Any]] {
        output.withLock { $0 }.split(separator: 10).compactMap { line in
            // A line still being written is no JSON yet; the next look sees it whole.
            try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
        }
    }
}

struct PeerFailure: Error {
    var text: String
}

/// A master that the tests run against, ours or Debian's.
enum MasterKind: String, CaseIterable, Sendable {
    case embedded, rosmaster
}

/// Runs the body with a master of the kind.
func withMaster<Result>(_ kind: MasterKind, _ body: (_ uri: String) async throws -> Result) async throws -> Result {
    switch kind {
    case .embedded: return try await withMaster(body)
    case .rosmaster:
        let port = try await freePort()
        let peer = try await startRosmaster(port: port)
        defer { peer.kill() }
        return try await body("http://127.0.0.1:\(port)")
    }
}
