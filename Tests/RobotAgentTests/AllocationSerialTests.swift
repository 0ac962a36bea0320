import Foundation
import GrootTesting
import Logging
import ROS1
import Synchronization
import Testing

/// The control thread as the built executable runs it, under an allocation counter: down to the socket of a subscriber.
struct AllocationSerialTests {
    static let peers = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers")
    /// Where SwiftPM put the executables: beside the test bundle.
    static let binaries = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()

    @Test(.timeLimit(.minutes(2)))
    func nothingIsAllocatedAfterWarmUp() async throws {
        let directory = try TemporaryDirectory()
        let shim = directory.url.appending(path: "count_malloc.so")
        let compiler = try ChildProcess(
            "cc",
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [
                "cc", "-shared", "-fPIC", "-O1", "-o", shim.path,
                Self.peers.appending(path: "count_malloc.c").path, "-ldl",
            ],
            folder: directory.url
        )
        try await eventually(within: .seconds(60), "the shim is compiled") { compiler.exitCode != nil }
        try #require(compiler.exitCode == 0, "\(compiler.lastLines())")
        let master = ROSMaster(port: 0, logger: Logger(label: "allocations"))
        let uri = "http://127.0.0.1:\(try await master.start())"
        let robot = ROSNode(name: "/robot", masterURI: uri, logger: Logger(label: "allocations"))
        try await robot.start()
        let arrivals = Mutex(0)
        _ = try await robot.subscribe("/kuavo_arm_traj", to: JointState.self) { _, _ in arrivals.withLock { $0 += 1 } }
        _ = try await robot.subscribe("/leju_claw_command", to: LejuClawCommand.self) { _, _ in }
        let bench = try ChildProcess(
            "bench",
            executable: Self.binaries.appending(path: "groot-agent"),
            arguments: ["bench", "--seconds", "6", "--ros-master", uri],
            environment: ["LD_PRELOAD": shim.path, "GROOT_WARM_UP_MS": "3000"],
            folder: directory.url
        )
        try await eventually(within: .seconds(60), "the bench ends") { bench.exitCode != nil }
        try #require(bench.exitCode == 0, "\(bench.lastLines())")
        let output = try bench.standardOutput()
        let fields = try #require(
            try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Double],
            "\(output)"
        )
        #expect((fields["ticks"] ?? 0) > 300, "the loop ran meanwhile: \(output)")
        #expect((fields["published"] ?? 0) > 300)
        let arrived = arrivals.withLock { $0 }
        #expect(arrived > 300, "the commands reached a subscriber meanwhile: \(arrived)")
        await robot.shutdown()
        await master.stop()
        let log = try bench.logText()
        #expect(log.contains("allocations=0\n"), "\(log.suffix(3000))")
        #expect(!log.contains("control-thread-seen=0 "), "the counter must have seen the thread warm up")
    }
}
