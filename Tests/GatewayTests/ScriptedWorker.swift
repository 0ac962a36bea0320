import GrootAPI
import GrootCore
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization

@testable import HTTP2

/// A worker that does what a test tells it: describes itself, is healthy or not, answers `Infer` in one of several ways.
final class ScriptedWorker: Sendable {
    enum Behaviour: Sendable {
        /// An answer with this worker's name in it, once the whole body is there.
        case answer(after: Duration)
        /// The same as one gRPC message, for real clients.
        case message
        /// Does what a step after the other says, once the whole body is there.
        case script([Step])
        /// Takes the body and says nothing.
        case silent
        /// Takes neither body nor decision.
        case stall
        case refuse
        /// Trailers-Only with this status.
        case status(Int)
        /// An HTTP status of something that is no gRPC server.
        case http(Int)
        /// Answers at once, before the body, and then resets nothing.
        case early
    }

    /// A piece of an answer, right or wrong.
    enum Step: Sendable, Equatable {
        case headers([String: String])
        case body([UInt8])
        case trailers([String: String])
        case end
        case reset(HTTP2ErrorCode)
        case killConnection
        case goAway
    }

    /// A good answer in steps.
    static let headers = Step.headers([":status": "200", "content-type": "application/grpc"])
    static let answer = Step.body([0, 0, 0, 0, 2, 0x6F, 0x6B])

    struct State: Sendable {
        var behaviour = Behaviour.answer(after: .zero)
        var healthy = true
        var checkpoints: [String] {
            didSet { generation += 1 }
        }
        /// Named in health checks and answers; what a worker before generations did not.
        var namesGeneration = false
        var generation = 1
        var descriptions = 0
        var requests: [HTTP2Headers] = []
        var bytes = 0
        var cancelled = 0
        /// Requests that are not answered yet.
        var inHand = 0
        /// Answers say what else is in hand, as one batch of 20 ms with half a second to go.
        var reportsLoad = false
        /// Connections end with GOAWAY after so many requests.
        var requestsPerConnection = Int.max
        var goAways = 0

        /// What an answer says; the request that is answered is in hand no more.
        func load(maxBatch: Int) -> String {
            let others = max(0, inHand - 1)
            let running = min(others, maxBatch)
            return "TEXT named_metrics.queue=\(others - running),named_metrics.running=\(running)"
                + ",named_metrics.batch_capacity=\(maxBatch),named_metrics.batch=1,named_metrics.batch_ms=20"
                + ",named_metrics.left_ms=\(running > 0 ? 500 : 0)"
        }
    }

    let name: String
    /// 0: does not say how large its batches are.
    let maxBatch: Int
    let group: MultiThreadedEventLoopGroup
    private let state: Mutex<State>
    private let server: HTTP2Server

    init(_ name: String, checkpoints: [String] = ["a"], maxBatch: Int = 0, tls: TLSContextSource? = nil) {
        self.name = name
        self.maxBatch = maxBatch
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        state = Mutex(State(checkpoints: checkpoints))
        let link = Link()
        server = HTTP2Server(group: group, tls: tls) { loop in
            var observer = HTTP2Connection.Observer()
            var count = 0
            observer.streamOpened = { stream in
                guard let worker = link.worker else { return nil }
                count += 1
                if count == worker.now.requestsPerConnection {
                    worker.change { $0.goAways += 1 }
                    stream.connection?.drain()
                }
                return ScriptedStream(stream, worker: worker, loop: loop)
            }
            return observer
        }
        link.set(self)
    }

    var now: State { state.withLock { $0 } }
    var requestCount: Int { now.requests.count }

    func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
    }

    func start(port: Int = 0) async throws -> Endpoint {
        try await server.bind(to: .tcp(host: "127.0.0.1", port: port))
    }

    /// Dies without a word.
    func kill() async {
        await server.abort()
    }

    /// Every connection ends without a word; the worker goes on listening.
    func breakConnections() {
        server.breakConnections()
    }

    /// The same with a GOAWAY that counts every stream as seen.
    func closeConnections() {
        server.closeConnections()
    }

    func drain() async {
        await server.drain(budget: .seconds(5))
    }

    func stop() async throws {
        await server.abort()
        try await group.shutdownGracefully()
    }

    private final class Link: Sendable {
        private struct Box {
            weak var worker: ScriptedWorker?
        }
        private let box = Mutex(Box())
        var worker: ScriptedWorker? { box.withLock { $0.worker } }
        func set(_ worker: ScriptedWorker) { box.withLock { $0.worker = worker } }
    }
}

private final class ScriptedStream: HTTP2StreamHandler {
    private let stream: HTTP2Stream
    private let worker: ScriptedWorker
    private let loop: any EventLoop
    private var path = ""
    /// An inference, or a call of the control plane when it stands for that.
    private var isWork: Bool { path == "/groot.v1.Inference/Infer" || path.hasPrefix("/groot.v1.Fleet/") }
    private var behaviour = ScriptedWorker.Behaviour.silent

    init(_ stream: HTTP2Stream, worker: ScriptedWorker, loop: any EventLoop) {
        self.stream = stream
        self.worker = worker
        self.loop = loop
    }

    func received(headers: HTTP2Headers) {
        path = headers[":path"] ?? ""
        guard isWork else { return }
        worker.change {
            $0.requests.append(headers)
            $0.inHand += 1
        }
        behaviour = worker.now.behaviour
        switch behaviour {
        case .refuse: stream.reset(.refusedStream)
        case .status(let code):
            stream.send(
                headers: HTTP2Headers([
                    (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(code)"),
                    ("grpc-message", "scripted"),
                ]),
                endStream: true
            )
        case .http(let code): stream.send(headers: HTTP2Headers([(":status", "\(code)")]), endStream: true)
        case .early: answer(framed: Array(worker.name.utf8))
        case .answer, .message, .silent, .stall, .script: break
        }
    }

    func received(body: ByteBuffer) {
        if isWork { worker.change { $0.bytes += body.readableBytes } }
        if case .stall = behaviour, isWork { return }
        stream.consumed(body.readableBytes)
    }

    func received(trailers: HTTP2Headers) {}

    func receivedEnd() {
        switch path {
        case "/grpc.health.v1.Health/Check":
            var response = Grpc_Health_V1_HealthCheckResponse()
            response.status = worker.now.healthy ? .serving : .notServing
            answer(message: response)
        case "/groot.v1.Inference/Describe":
            worker.change { $0.descriptions += 1 }
            var response = Groot_V1_DescribeResponse()
            response.worker = worker.name
            response.policies = worker.now.checkpoints.map { checkpoint in
                var policy = Groot_V1_Policy()
                policy.checkpoint = checkpoint
                policy.maxBatch = UInt32(worker.maxBatch)
                // A batch that is full takes as long as the reports of one that runs need to be believed.
                for (batch, time) in worker.now.reportsLoad ? [(1, 10_000), (worker.maxBatch, 400_000_000)] : [] {
                    var described = Groot_V1_BatchTime()
                    described.batch = UInt32(batch)
                    described.inferNs = UInt64(time)
                    policy.batchTimes.append(described)
                }
                return policy
            }
            answer(message: response)
        case _ where isWork:
            if case .message = behaviour { return answer(framed: Array(worker.name.utf8)) }
            if case .script(let steps) = behaviour { return play(steps) }
            guard case .answer(let delay) = behaviour else { return }
            loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
                answer(framed: Array(worker.name.utf8))
            }
        default: stream.reset(.internalError)
        }
    }

    func bodyLeft(byteCount: Int) {}

    func closed(_ closure: HTTP2StreamClosure) {
        if closure.cause == .reset, closure.code == .cancel { worker.change { $0.cancelled += 1 } }
        if isWork { worker.change { $0.inHand -= 1 } }
    }

    private func play(_ steps: [ScriptedWorker.Step]) {
        for step in steps {
            switch step {
            case .headers(let fields): stream.send(headers: Self.block(fields))
            case .body(let bytes): stream.send(body: ByteBuffer(bytes: bytes))
            case .trailers(let fields): stream.send(trailers: Self.block(fields))
            case .end: stream.finish()
            case .reset(let code): stream.reset(code)
            case .killConnection: worker.breakConnections()
            case .goAway: worker.closeConnections()
            }
        }
    }

    /// Pseudo-fields first.
    private static func block(_ fields: [String: String]) -> HTTP2Headers {
        HTTP2Headers(fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    private func answer(message: some Message) {
        guard let bytes: [UInt8] = try? message.serializedBytes() else { return }
        answer(framed: bytes)
    }

    private func answer(framed bytes: [UInt8]) {
        var framed = ByteBuffer()
        framed.writeInteger(UInt8(0))
        framed.writeInteger(UInt32(bytes.count))
        framed.writeBytes(bytes)
        answer(framed)
    }

    private func answer(_ body: ByteBuffer) {
        stream.send(headers: HTTP2Headers([(":status", "200"), ("content-type", "application/grpc")]))
        stream.send(body: body)
        var trailers = HTTP2Headers([("grpc-status", "0")])
        let now = worker.now
        if now.namesGeneration { trailers.add("groot-generation", "\(now.generation)") }
        if now.reportsLoad, isWork {
            trailers.add("endpoint-load-metrics", now.load(maxBatch: worker.maxBatch))
        }
        stream.send(trailers: trailers)
    }
}
