import GrootAPI
import GrootCore
import HTTP2
import Testing

@testable import Gateway

/// The data plane against scripted workers.
@Suite(.timeLimit(.minutes(1)), .serialized)
struct DataPlaneTests {
    @Test
    func passesRequestsAndSaysWho() async throws {
        try await withGateway(1) { gateway, workers in
            let response = try await gateway.infer(460_000, extra: [("x-blob-bin", "AAEC/w")])
            #expect(response.text == "w0")
            #expect(response.headers["groot-worker"] == "w0" && response.headers["groot-attempts"] == "1")
            #expect(response.trailers["grpc-status"] == "0")
            let seen = try #require(workers[0].now.requests.first)
            #expect(seen["x-blob-bin"] == "AAEC/w" && seen["te"] == "trailers")
            let left = try #require(seen["grpc-timeout"].flatMap(GRPCTimeout.parse))
            #expect(left <= .seconds(5) && left > .seconds(4))
            #expect(workers[0].now.bytes == 460_000)
            #expect(gateway.reports.all.map(\.checkpoints) == [["a"]])
            let address = gateway.dataPlane.workerStatuses[0].address
            let labels = "address=\"\(address)\",outcome=\"ok\",worker=\"w0\""
            #expect(gateway.metric("groot_gateway_attempts_total{\(labels)}") == "1")
        }
    }

    @Test
    func refusesWhatItDoesNotServe() async throws {
        try await withGateway(1) { gateway, _ in
            let unknown = try await gateway.infer(path: "/other.Service/Call")
            #expect(unknown.grpcStatus == "12")
            let plain = try await gateway.infer(extra: [("grpc-timeout", "bad")], timeout: nil)
            #expect(plain.grpcStatus == "3")
            let late = try await gateway.infer(timeout: "0m")
            #expect(late.grpcStatus == "4")
            let nobody = try await gateway.infer(extra: [("groot-checkpoint", "zzz")])
            #expect(nobody.grpcStatus == "5")
            #expect(nobody.grpcMessage.contains("served are: a"))
        }
    }

    @Test
    func aWorkerKilledMidRequestCostsNoSecondUpload() async throws {
        try await withGateway(2) { gateway, workers in
            for worker in workers { worker.change { $0.behaviour = .silent } }
            let pending = Task { try await gateway.infer(460_000) }
            #expect(await eventually { workers.contains { $0.now.bytes == 460_000 } })
            let victim = workers[0].now.bytes > 0 ? 0 : 1
            workers[1 - victim].change { $0.behaviour = .answer(after: .zero) }
            await workers[victim].kill()
            let response = try await pending.value
            #expect(response.text == workers[1 - victim].name)
            #expect(response.headers["groot-attempts"] == "2")
            #expect(workers[1 - victim].now.bytes == 460_000)
            #expect(workers[1 - victim].now.requests[0]["grpc-previous-rpc-attempts"] == "1")
            #expect(gateway.metric("groot_gateway_received_bytes_total") == "460000", "one upload")
            #expect(gateway.metric("groot_gateway_retries_total") == "1")
            for _ in 0..<20 {
                let next = try await gateway.infer()
                #expect(next.text == workers[1 - victim].name && next.headers["groot-attempts"] == "1")
            }
        }
    }

    @Test(arguments: [.refuse, .status(14), .http(503)] as [ScriptedWorker.Behaviour])
    func refusalsGoToTheOtherWorker(_ behaviour: ScriptedWorker.Behaviour) async throws {
        try await withGateway(2) { gateway, workers in
            // The first is by far the faster one: it is chosen, until it refuses.
            workers[1].change { $0.behaviour = .answer(after: .milliseconds(100)) }
            var inARow = 0
            for _ in 0..<50 where inARow < 3 {
                inARow = try await gateway.infer(50_000).text == "w0" ? inARow + 1 : 0
            }
            try #require(inARow == 3)
            let before = workers[0].requestCount
            workers[0].change { $0.behaviour = behaviour }
            workers[1].change { $0.behaviour = .answer(after: .zero) }
            for _ in 0..<10 {
                let response = try await gateway.infer(50_000)
                #expect(response.text == "w1")
            }
            #expect(workers[0].requestCount == before + 1, "the penalty keeps it out")
        }
    }

    @Test
    func errorsOfTheWorkerArePassedOn() async throws {
        try await withGateway(2) { gateway, workers in
            for worker in workers { worker.change { $0.behaviour = .status(3) } }
            let invalid = try await gateway.infer()
            #expect(invalid.grpcStatus == "3" && invalid.grpcMessage == "scripted")
            #expect(invalid.headers["groot-attempts"] == "1")
            for worker in workers { worker.change { $0.behaviour = .status(14) } }
            let unavailable = try await gateway.infer()
            #expect(unavailable.grpcStatus == "14" && unavailable.headers["groot-attempts"] == "2")
            for worker in workers { worker.change { $0.behaviour = .http(404) } }
            let notFound = try await gateway.infer()
            #expect(notFound.grpcStatus == "12")
        }
    }

    @Test
    func theDeadlineIsEnforcedAndTheWorkerToldSo() async throws {
        try await withGateway(1) { gateway, workers in
            workers[0].change { $0.behaviour = .silent }
            let response = try await gateway.infer(timeout: "80m")
            #expect(response.grpcStatus == "4")
            #expect(await eventually { workers[0].now.cancelled == 1 })
            #expect(gateway.metric("groot_gateway_deadline_total") == "1")
        }
    }

    @Test
    func requestsWaitForAWorkerToComeUp() async throws {
        let worker = ScriptedWorker("late")
        let port = try await freePort()
        let gateway = try await GatewayFixture(workers: [.tcp(host: "127.0.0.1", port: port)])
        #expect(gateway.dataPlane.notReadyReason != nil)
        let pending = Task { try await gateway.infer() }
        #expect(await eventually { gateway.metric("groot_gateway_held_total") == "1" })
        _ = try await worker.start(port: port)
        let response = try await pending.value
        #expect(response.text == "late")
        #expect(gateway.dataPlane.notReadyReason == nil)
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func nobodyThereIsUnavailableAndSaysWhy() async throws {
        let port = try await freePort()
        let gateway = try await GatewayFixture(workers: [.tcp(host: "127.0.0.1", port: port)]) {
            $0.holdLimit = .milliseconds(200)
        }
        let response = try await gateway.infer()
        #expect(response.grpcStatus == "14")
        #expect(response.grpcMessage.contains("127.0.0.1:\(port) is down: connection refused"))
        let control = try await gateway.infer(path: "/groot.v1.Fleet/RegisterRobot")
        #expect(control.grpcStatus == "14" && control.grpcMessage.contains("control plane"))
        try await gateway.stop()
    }

    @Test
    func theSelectorChoosesTheWorker() async throws {
        let first = ScriptedWorker("first", checkpoints: ["a"])
        let second = ScriptedWorker("second", checkpoints: ["a", "b"])
        let gateway = try await GatewayFixture(workers: [try await first.start(), try await second.start()])
        #expect(await gateway.up(2))
        for _ in 0..<6 {
            let response = try await gateway.infer(extra: [("groot-checkpoint", "b")])
            #expect(response.text == "second")
        }
        try await gateway.stop()
        try await first.stop()
        try await second.stop()
    }

    @Test
    func anUnhealthyWorkerIsOutAndItsRequestsMove() async throws {
        try await withGateway(2, overdue: .zero) { gateway, workers in
            for worker in workers { worker.change { $0.behaviour = .silent } }
            let pending = Task { try await gateway.infer(1000) }
            #expect(await eventually { workers.contains { $0.now.bytes == 1000 } })
            let sick = workers[0].now.bytes > 0 ? 0 : 1
            workers[1 - sick].change { $0.behaviour = .answer(after: .zero) }
            let began = MonotonicInstant.now()
            workers[sick].change { $0.healthy = false }
            let response = try await pending.value
            #expect(response.text == workers[1 - sick].name)
            #expect(MonotonicInstant.now() - began < .seconds(2))
            #expect(gateway.dataPlane.workerStatuses[sick].reason.contains("notServing"))
        }
    }

    /// The only worker is gone: robots hear UNAVAILABLE and why, long before their deadline, of what it had in hand and of
    /// what they ask meanwhile; and it is used again as soon as it is back.
    @Test(arguments: ["is sick", "is cut off"])
    func aLoneWorkerThatIsLostIsHeardOfBeforeTheDeadline(how: String) async throws {
        try await withGateway(1) { gateway, workers in
            let worker = workers[0]
            worker.change { $0.behaviour = .silent }
            async let inHand = gateway.infer(1000, robot: "r1", timeout: "60S")
            #expect(await eventually { worker.now.bytes == 1000 })
            worker.change { $0.healthy = false }
            if how == "is cut off" { worker.breakConnections() }
            #expect(await eventually { !gateway.dataPlane.workerStatuses[0].isUp })
            async let asked = gateway.infer(1000, robot: "r2", timeout: "60S")
            for response in try await [inHand, asked] {
                #expect(response.grpcStatus == "14", "\(response.grpcMessage)")
                #expect(response.grpcMessage.contains("w0") && response.grpcMessage.contains("is down"))
            }
            worker.change {
                $0.behaviour = .answer(after: .zero)
                $0.healthy = true
            }
            #expect(await gateway.up(1))
            #expect(try await gateway.infer().text == "w0")
        }
    }

    /// Whatever the control plane answers, it is asked once: there is no other one to ask.
    @Test
    func whatTheControlPlaneSaysIsTheAnswer() async throws {
        let control = ScriptedWorker("control")
        let gateway = try await GatewayFixture(workers: [], control: try await control.start())
        for code in 1...16 {
            control.change { $0.behaviour = .status(code) }
            let asked = control.requestCount
            let response = try await gateway.infer(path: "/groot.v1.Fleet/RegisterRobot")
            #expect(response.grpcStatus == "\(code)", "\(response.grpcStatus ?? "") \(response.grpcMessage)")
            #expect(control.requestCount == asked + 1)
        }
        try await gateway.stop()
        try await control.stop()
    }

    @Test
    func aDrainingWorkerFinishesAndGetsNoMore() async throws {
        try await withGateway(2, overdue: .zero) { gateway, workers in
            for worker in workers { worker.change { $0.behaviour = .answer(after: .milliseconds(300)) } }
            let pending = Task { try await gateway.infer(1000) }
            #expect(await eventually { workers.contains { $0.now.bytes == 1000 } })
            let leaving = workers[0].now.bytes > 0 ? 0 : 1
            workers[1 - leaving].change { $0.behaviour = .answer(after: .zero) }
            let drained = Task { await workers[leaving].drain() }
            let response = try await pending.value
            #expect(response.text == workers[leaving].name && response.headers["groot-attempts"] == "1")
            await drained.value
            for _ in 0..<5 {
                let next = try await gateway.infer()
                #expect(next.text == workers[1 - leaving].name && next.headers["groot-attempts"] == "1")
            }
        }
    }

    /// One worker that ends every connection after 50 requests: nothing fails, and from the second GOAWAY on it is never
    /// without a connection.
    @Test(arguments: [1, 2])
    func goAwayCostsNothing(loops: Int) async throws {
        let log = CountingLog("is down")
        let worker = ScriptedWorker("w0")
        worker.change {
            $0.behaviour = .answer(after: .milliseconds(1))
            $0.requestsPerConnection = 50
        }
        let gateway = try await GatewayFixture(workers: [try await worker.start()], logger: log.logger) {
            $0.eventLoops = loops
        }
        #expect(await gateway.up(1))
        try await withThrowingTaskGroup { group in
            for robot in 0..<8 {
                group.addTask {
                    for _ in 0..<100 {
                        let response = try await gateway.infer(2000, robot: "r\(robot)")
                        #expect(response.grpcStatus == "0", "\(response.grpcMessage)")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(worker.now.goAways >= 10)
        #expect(log.count <= 2, "down \(log.count) times in \(worker.now.goAways) GOAWAYs")
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func aStalledUploadDoesNotBlockOthers() async throws {
        try await withGateway(1) { gateway, workers in
            workers[0].change { $0.behaviour = .stall }
            let stalled = (0..<8).map { _ in Task { try await gateway.infer(3 << 20, timeout: "10S") } }
            #expect(await eventually { workers[0].requestCount == 8 })
            workers[0].change { $0.behaviour = .answer(after: .zero) }
            for _ in 0..<10 {
                let response = try await gateway.infer(1_000_000)
                #expect(response.text == "w0")
            }
            for task in stalled { task.cancel() }
        }
    }

    @Test
    func anAnswerBeforeTheBodyIsPassedOnAtOnce() async throws {
        try await withGateway(1) { gateway, workers in
            workers[0].change { $0.behaviour = .early }
            let response = try await gateway.infer(8 << 20)
            #expect(response.text == "w0" && response.trailers["grpc-status"] == "0")
            workers[0].change { $0.behaviour = .answer(after: .zero) }
            let next = try await gateway.infer(460_000)
            #expect(next.text == "w0")
        }
    }

    @Test
    func drainFinishesRequestsInFlight() async throws {
        try await withGateway(1, stops: false) { gateway, workers in
            workers[0].change { $0.behaviour = .answer(after: .milliseconds(400)) }
            let pending = Task { try await gateway.infer() }
            #expect(await eventually { workers[0].requestCount == 1 })
            let began = MonotonicInstant.now()
            await gateway.dataPlane.stop()
            let response = try await pending.value
            #expect(response.text == "w0")
            #expect(MonotonicInstant.now() - began < .seconds(4))
            #expect(gateway.dataPlane.connectionCount == 0)
        }
    }

    @Test(arguments: [1, 3])
    func aHundredRequestsAtOnceAllComeBack(loops: Int) async throws {
        let workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
        for worker in workers { worker.change { $0.behaviour = .answer(after: .milliseconds(5)) } }
        let endpoints = [try await workers[0].start(), try await workers[1].start()]
        let gateway = try await GatewayFixture(workers: endpoints) { $0.eventLoops = loops }
        #expect(await gateway.up(2))
        let began = MonotonicInstant.now()
        try await withThrowingTaskGroup(of: String?.self) { group in
            for index in 0..<100 {
                group.addTask { try await gateway.infer(460_000, robot: "r\(index % 10)").grpcStatus }
            }
            for try await status in group { #expect(status == "0") }
        }
        let time = MonotonicInstant.now() - began
        print("100 x 460 kB over \(loops) loop(s): \(time.milliseconds) ms")
        #expect(workers.map { $0.now.bytes }.reduce(0, +) == 46_000_000)
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    private func withGateway(
        _ count: Int,
        stops: Bool = true,
        overdue: Duration = .milliseconds(200),
        _ body: (GatewayFixture, [ScriptedWorker]) async throws -> Void
    ) async throws {
        let workers = (0..<count).map { ScriptedWorker("w\($0)") }
        var endpoints: [Endpoint] = []
        for worker in workers { endpoints.append(try await worker.start()) }
        let gateway = try await GatewayFixture(workers: endpoints) { $0.overdue = overdue }
        #expect(await gateway.up(count))
        try await body(gateway, workers)
        if stops { try await gateway.stop() }
        for worker in workers { try await worker.stop() }
    }

    /// A port on which nobody listens.
    private func freePort() async throws -> Int {
        let probe = ScriptedWorker("probe")
        let endpoint = try await probe.start()
        try await probe.stop()
        guard case .tcp(_, let port) = endpoint else { return 1 }
        return port
    }
}
