import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import Logging
import ServiceLifecycle
import Worker

/// A worker in this process on a port of its own, and a real client that talks to it.
struct WorkerHarness: Sendable {
    typealias Inference = Groot_V1_Inference.Client<HTTP2ClientTransport.Posix>
    typealias Health = Grpc_Health_V1_Health.Client<HTTP2ClientTransport.Posix>

    let inference: Inference
    let health: Health
    let state: ServingState
    let metrics: MetricsRegistry
    private let group: ServiceGroup

    /// Asks for a graceful shutdown, as SIGTERM does.
    func drain() async { await group.triggerGracefulShutdown() }

    static func run(
        maxWaiting: Int = 8,
        maxBatch: Int = 2,
        load: @escaping @Sendable () async throws(WorkerError) -> [any PolicyRuntime],
        _ body: @Sendable @escaping (WorkerHarness) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let registry = MetricsRegistry()
        let metrics = WorkerMetrics(registry: registry, maxBatch: maxBatch)
        let state = ServingState()
        let server = WorkerServer(
            name: "w1",
            listen: .tcp(host: "127.0.0.1", port: 0),
            state: state,
            metrics: metrics,
            logger: logger,
            load: { () throws(WorkerError) in
                let batchers = try await load().map {
                    Batcher(
                        runner: $0,
                        configuration: .init(maxWaiting: maxWaiting, maxBatch: maxBatch),
                        metrics: metrics
                    )
                }
                state.loaded(batchers)
            }
        )
        let group = ServiceGroup(configuration: .init(services: [server], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try await server.port ?? 0
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: port),
                transportSecurity: .plaintext
            )
            try await withGRPCClient(transport: transport) { client in
                try await body(
                    WorkerHarness(
                        inference: Inference(wrapping: client),
                        health: Health(wrapping: client),
                        state: state,
                        metrics: registry,
                        group: group
                    )
                )
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    /// One metric line's value, e.g. `groot_worker_requests_total{outcome="answered"}`.
    func metric(_ name: String) -> String? {
        metrics.render().split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .map { String($0.dropFirst(name.count + 1)) }
    }
}

extension Groot_V1_InferRequest {
    /// A request that fits the fixture `tiny`: black image a, white image b, state 1, 2, 3.
    static func tiny(robot: String = "r1", task: String = "ab") -> Groot_V1_InferRequest {
        var request = Groot_V1_InferRequest()
        request.robot = robot
        request.requestID = "request-\(robot)"
        request.task = task
        request.images = [("a", UInt8(0)), ("b", 255)].map { name, level in
            var image = Groot_V1_Image()
            image.key = "observation.images.\(name)"
            image.encoding = .rgb8
            image.width = 4
            image.height = 4
            image.data = Data(repeating: level, count: 48)
            return image
        }
        request.stateNames = ["claw", "left", "right"]
        request.stateValues = [3, 1, 2]
        return request
    }

    /// A request that fits `ScriptedRunner`.
    static func scripted(robot: String, left: Float = 0, observation: UInt64 = 0) -> Groot_V1_InferRequest {
        var request = Groot_V1_InferRequest()
        request.robot = robot
        request.task = "go"
        request.observationIndex = observation
        var image = Groot_V1_Image()
        image.key = "observation.images.a"
        image.encoding = .rgb8
        image.width = 2
        image.height = 1
        image.data = Data(count: 6)
        request.images = [image]
        request.stateNames = ["left", "right"]
        request.stateValues = [left, 0]
        return request
    }
}
