import Foundation
import GrootCore
import GrootTesting
import HTTP2
import Logging
import Synchronization
import Testing

@testable import Gateway

/// Queue, supersession, hedges, membership at run time and bad input, through sockets.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct SchedulingDataPlaneTests {
    @Test
    func theOlderObservationEndsWithAStatusWhenANewerTakesItsPlace() async throws {
        let worker = ScriptedWorker("w0", maxBatch: 1)
        let gateway = try await GatewayFixture(workers: [try await worker.start()])
        #expect(await gateway.up(1))
        worker.change { $0.behaviour = .silent }
        // One batch that runs, one that is uploaded.
        let running = ["a", "b"].map { robot in Task { try await gateway.infer(robot: robot) } }
        #expect(await eventually { worker.requestCount == 2 })
        let old = Task { try await gateway.infer(460_000, robot: "r1", extra: [("groot-observation", "7")]) }
        #expect(await eventually { gateway.metric("groot_gateway_waiting_requests") == "1.0" })
        let new = Task { try await gateway.infer(460_000, robot: "r1", extra: [("groot-observation", "8")]) }
        let ended = try await old.value
        #expect(ended.grpcStatus == "10")
        #expect(ended.grpcMessage == "superseded by observation 8 of the same robot")
        #expect(gateway.metric("groot_gateway_decisions_total{decision=\"superseded\"}") == "1")
        let state = gateway.dataPlane.state()
        #expect(state.waiting.map(\.observation) == [8] && state.robots.count == 3)
        // The worker dies and comes back: who waited is answered by its successor; those that it had in hand may be what
        // killed it, and it does not get them again.
        worker.change { $0.behaviour = .answer(after: .zero) }
        await worker.kill()
        guard case .tcp(_, let port) = gateway.dataPlane.workerStatuses[0].address else { return }
        _ = try await worker.start(port: port)
        #expect(try await new.value.text == "w0")
        for task in running { #expect(try await task.value.grpcStatus == "14") }
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func aFullQueueShedsWithAHint() async throws {
        let worker = ScriptedWorker("w0", maxBatch: 1)
        let gateway = try await GatewayFixture(workers: [try await worker.start()]) { $0.scheduling.waitingLimit = 2 }
        #expect(await gateway.up(1))
        worker.change { $0.behaviour = .silent }
        let waiting = (0..<4).map { index in
            Task { try await gateway.infer(robot: "r\(index)", timeout: "3S") }
        }
        #expect(await eventually { gateway.metric("groot_gateway_waiting_requests") == "2.0" })
        let shed = try await gateway.infer(robot: "r9")
        #expect(shed.grpcStatus == "8" && shed.grpcMessage.contains("waiting-limit"))
        #expect((shed.headers["groot-next-observation-after-ms"].flatMap { Int($0) } ?? 0) > 0)
        for task in waiting { #expect(try await task.value.grpcStatus == "4") }
        let late = try await gateway.infer(robot: "r9", timeout: "50m")
        #expect(late.grpcStatus == "4")
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func aDyingRobotIsHedgedAndTheLoserCancelled() async throws {
        let workers = [ScriptedWorker("w0", maxBatch: 4), ScriptedWorker("w1", maxBatch: 4)]
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let gateway = try await GatewayFixture(workers: endpoints) { $0.hedges = true }
        #expect(await gateway.up(2))
        for worker in workers { worker.change { $0.behaviour = .silent } }
        let pending = Task { try await gateway.infer(100_000, extra: [("groot-runway-ms", "150")]) }
        #expect(await eventually { workers.allSatisfy { $0.requestCount == 1 } }, "both are asked")
        #expect(gateway.metric("groot_gateway_decisions_total{decision=\"hedged\"}") == "1")
        #expect(gateway.metric("groot_gateway_received_bytes_total") == "100000", "one upload")
        workers[1].change { $0.behaviour = .answer(after: .zero) }
        await workers[0].kill()
        await workers[1].kill()
        #expect(try await pending.value.grpcStatus == "14")
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func aHedgeThatAnswersFirstWins() async throws {
        let workers = [ScriptedWorker("w0", maxBatch: 4), ScriptedWorker("w1", maxBatch: 4)]
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let gateway = try await GatewayFixture(workers: endpoints) { $0.hedges = true }
        #expect(await gateway.up(2))
        for worker in workers { worker.change { $0.behaviour = .answer(after: .seconds(4)) } }
        let pending = Task { try await gateway.infer(extra: [("groot-runway-ms", "300")], timeout: "10S") }
        #expect(await eventually { workers.contains { $0.requestCount == 1 } })
        let first = workers[0].requestCount == 1 ? 0 : 1
        workers[1 - first].change { $0.behaviour = .answer(after: .zero) }
        let response = try await pending.value
        #expect(response.text == workers[1 - first].name && response.headers["groot-attempts"] == "2")
        #expect(await eventually { workers[first].now.cancelled == 1 })
        #expect(gateway.metric("groot_gateway_hedges_won_total") == "1")
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func workersComeAndGoWithoutALostRequest() async throws {
        let workers = (0..<3).map { ScriptedWorker("w\($0)") }
        var endpoints: [Endpoint] = []
        for worker in workers {
            worker.change { $0.behaviour = .answer(after: .milliseconds(5)) }
            endpoints.append(try await worker.start())
        }
        let gateway = try await GatewayFixture(workers: [endpoints[0]]) { $0.eventLoops = 2 }
        #expect(await gateway.up(1))
        let load = Task {
            var statuses: [String: Int] = [:]
            while !Task.isCancelled {
                let status = try await gateway.infer(20_000).grpcStatus ?? "none"
                statuses[status, default: 0] += 1
            }
            return statuses
        }
        for _ in 0..<30 {
            #expect(
                gateway.dataPlane.add(endpoints[1], source: .file) && gateway.dataPlane.add(endpoints[2], source: .file)
            )
            #expect(!gateway.dataPlane.add(endpoints[1], source: .file), "once")
            #expect(await gateway.up(3))
            for endpoint in endpoints.dropFirst() { #expect(gateway.dataPlane.remove(endpoint)) }
            #expect(await gateway.up(1))
        }
        load.cancel()
        let statuses = try await load.value
        #expect(statuses.keys.sorted() == ["0"] && (statuses["0"] ?? 0) > 20, "\(statuses)")
        #expect(workers.dropFirst().allSatisfy { $0.requestCount > 0 })
        #expect(!gateway.registry.render().contains("address=\"\(endpoints[1])\""), "its series are gone")
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func aDrainedWorkerGetsNothingUntilItIsAskedAgain() async throws {
        let workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
        let gateway = try await GatewayFixture(workers: [try await workers[0].start(), try await workers[1].start()])
        #expect(await gateway.up(2))
        #expect(gateway.dataPlane.drain("w0", true) && !gateway.dataPlane.drain("w9", true))
        #expect(gateway.dataPlane.state().workers.contains { $0.name == "w0" && $0.draining })
        for _ in 0..<6 { #expect(try await gateway.infer().text == "w1") }
        _ = gateway.dataPlane.drain("w0", false)
        _ = gateway.dataPlane.drain("w1", true)
        for _ in 0..<6 { #expect(try await gateway.infer().text == "w0") }
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func twoGatewaysShareTheWorkers() async throws {
        let workers = [ScriptedWorker("w0", maxBatch: 4), ScriptedWorker("w1", maxBatch: 4)]
        for worker in workers { worker.change { $0.behaviour = .answer(after: .milliseconds(3)) } }
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let gateways = [try await GatewayFixture(workers: endpoints), try await GatewayFixture(workers: endpoints)]
        for gateway in gateways { #expect(await gateway.up(2)) }
        try await withThrowingTaskGroup(of: String?.self) { group in
            for (index, gateway) in gateways.enumerated() {
                for robot in 0..<20 {
                    group.addTask {
                        for _ in 0..<5 {
                            let status = try await gateway.infer(1000, robot: "g\(index)r\(robot)", timeout: "10S")
                                .grpcStatus
                            if status != "0" { return status }
                        }
                        return "0"
                    }
                }
            }
            for try await status in group { #expect(status == "0") }
        }
        let counts = workers.map(\.requestCount)
        #expect(counts.reduce(0, +) == 200 && counts.allSatisfy { $0 > 40 }, "\(counts)")
        for gateway in gateways { try await gateway.stop() }
        for worker in workers { try await worker.stop() }
    }

    @Test
    func eachGatewaySeesTheOthersLoadOnceAndGoesAround() async throws {
        let workers = [ScriptedWorker("w0", maxBatch: 4), ScriptedWorker("w1", maxBatch: 4)]
        for worker in workers { worker.change { $0.reportsLoad = true } }
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let busy = try await GatewayFixture(workers: [endpoints[0]])
        let other = try await GatewayFixture(workers: endpoints)
        #expect(await busy.up(1))
        #expect(await other.up(2))
        func books(_ gateway: GatewayFixture) -> GatewayState.Worker? {
            gateway.dataPlane.state().workers.first { $0.name == "w0" }
        }
        // Three requests of the first gateway keep w0 busy; a fourth brings its report.
        workers[0].change { $0.behaviour = .answer(after: .seconds(3)) }
        let running = (0..<3).map { robot in Task { try await busy.infer(robot: "a\(robot)", timeout: "20S") } }
        #expect(await eventually { workers[0].now.inHand == 3 })
        workers[0].change { $0.behaviour = .answer(after: .zero) }
        #expect(try await busy.infer(robot: "a3").text == "w0")
        #expect(books(busy)?.inFlight == 3 && books(busy)?.otherGateways == 0, "its own load is not counted twice")
        // The second gateway knows nothing of that until w0 tells it; then it goes around.
        var asked = 0
        while (books(other)?.otherGateways ?? 0) < 2, asked < 10 {
            asked += 1
            _ = try await other.infer(robot: "b")
        }
        #expect((books(other)?.otherGateways ?? 0) >= 2 && books(other)?.inFlight == 0)
        let before = workers[0].requestCount
        for index in 0..<10 { #expect(try await other.infer(robot: "c\(index)").text == "w1") }
        #expect(workers[0].requestCount == before)
        for task in running { #expect(try await task.value.text == "w0") }
        // What was reported fades, and w0 gets its share again.
        try await GrootTesting.eventually("w0 is asked again") { try await other.infer(robot: "d").text == "w0" }
        try await busy.stop()
        try await other.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func badInputHasAStatusAndHurtsNobodyElse() async throws {
        let worker = ScriptedWorker("w0")
        let gateway = try await GatewayFixture(workers: [try await worker.start()]) { $0.bodyLimit = 100_000 }
        #expect(await gateway.up(1))
        let good = Task { try await gateway.infer(50_000) }
        let announced = try await gateway.infer(200_000, extra: [("content-length", "200000")])
        #expect(announced.grpcStatus == "8" && announced.grpcMessage.contains("max-body-size"))
        let streamed = try await gateway.infer(300_000)
        #expect(streamed.grpcStatus == "8")
        for value in ["-1", "soon", "99999999999"] {
            let runway = try await gateway.infer(extra: [("groot-runway-ms", value)])
            #expect(runway.grpcStatus == "3" && runway.grpcMessage.contains("groot-runway-ms"))
        }
        let long = try await gateway.infer(robot: String(repeating: "x", count: 200))
        #expect(long.grpcStatus == "3")
        let unknown = try await gateway.infer(extra: [("groot-checkpoint", "zzz")])
        #expect(unknown.grpcStatus == "5")
        #expect(try await good.value.text == "w0")
        #expect(gateway.metric("groot_gateway_limits_hit_total{limit=\"body-size\"}") == "2")
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func aWatchedFileAndRegistrationsReachTheDataPlane() async throws {
        let workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let folder = try TemporaryDirectory()
        let file = folder.url.appending(path: "workers")
        try "# one a line\n\(endpoints[0])\n".write(to: file, atomically: true, encoding: .utf8)
        let gateway = try await GatewayFixture(workers: [])
        #expect(gateway.dataPlane.notReadyReason?.contains("no worker") == true)
        var configuration = WorkerDirectory.Configuration()
        configuration.file = file.path
        configuration.lease = .milliseconds(500)
        let directory = WorkerDirectory(configuration, logger: Logger(label: "test"))
        directory.attach(to: gateway.dataPlane)
        await directory.poll(at: .now())
        #expect(await gateway.up(1))
        #expect(directory.register("w1", at: endpoints[1]) == .success(.milliseconds(500)))
        #expect(await gateway.up(2))
        #expect(gateway.dataPlane.state().workers.map(\.source).sorted() == ["file", "registered"])
        try "gpu 1:x\n".write(to: file, atomically: true, encoding: .utf8)
        await directory.poll(at: .now() + .seconds(1))
        #expect(await gateway.up(1), "the lease ended; the file keeps what it said last")
        try "".write(to: file, atomically: true, encoding: .utf8)
        await directory.poll(at: .now())
        #expect(await gateway.up(0))
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    @Test
    func namesAreResolvedAgainAndAnOutageKeepsThem() async throws {
        let worker = ScriptedWorker("w0")
        let endpoint = try await worker.start()
        let gateway = try await GatewayFixture(workers: [])
        let answer = Answers()
        var configuration = WorkerDirectory.Configuration()
        configuration.sources = [.name("workers", port: 1)]
        let directory = WorkerDirectory(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        { _ in
            try answer.next()
        }
        directory.attach(to: gateway.dataPlane)
        answer.set([endpoint])
        await directory.poll(at: .now())
        #expect(await gateway.up(1))
        answer.set(nil)
        await directory.poll(at: .now() + .seconds(10))
        #expect(gateway.dataPlane.workerStatuses.count == 1)
        answer.set([.tcp(host: "127.0.0.1", port: 1)])
        await directory.poll(at: .now() + .seconds(20))
        #expect(gateway.dataPlane.workerStatuses.map(\.address) == [.tcp(host: "127.0.0.1", port: 1)])
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func aReloadChangesPolicyAndLimitsWhileItRuns() async throws {
        let worker = ScriptedWorker("w0")
        let gateway = try await GatewayFixture(workers: [try await worker.start()])
        #expect(await gateway.up(1))
        var new = GatewayConfiguration()
        new.scheduling.policy = .consistentHash
        new.bodyLimit = 2000
        gateway.dataPlane.reconfigure(new)
        #expect(gateway.dataPlane.state().policy == "consistent-hash")
        // The event loop takes it over at its next turn.
        try await GrootTesting.eventually("the new limit holds") { try await gateway.infer(5000).grpcStatus == "8" }
        #expect(try await gateway.infer(1000).grpcStatus == "0")
        #expect(gateway.dataPlane.state().json().contains("\"policy\":\"consistent-hash\""))
        try await gateway.stop()
        try await worker.stop()
    }
}

/// What a scripted resolver answers; nil is a failure.
private final class Answers: Sendable {
    private let now = Mutex<[Endpoint]?>(nil)

    func set(_ endpoints: [Endpoint]?) { now.withLock { $0 = endpoints } }

    func next() throws -> [Endpoint] {
        guard let endpoints = now.withLock({ $0 }) else { throw NameResolver.Failure(description: "scripted") }
        return endpoints
    }
}
