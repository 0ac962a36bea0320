import GrootCore
import HTTP2
import NIOCore
import NIOPosix
import Synchronization

/// A server whose paths are behaviours: `/echo` returns the body with trailers, `/sink` counts it, `/stall` never
/// takes it, `/flood` answers 4 MiB at once, `/early` answers before the body is there, `/never` does not answer.
final class EchoServer: Sendable {
    let server: HTTP2Server
    fileprivate let opened = Atomic<Int>(0)
    fileprivate let received = Atomic<Int>(0)
    var openedStreams: Int { opened.load(ordering: .relaxed) }
    var receivedBytes: Int { received.load(ordering: .relaxed) }
    private let limits = Mutex<[HTTP2Limit]>([])
    /// Limiters that fired, in order.
    var limitsHit: [HTTP2Limit] { limits.withLock { $0 } }
    private let handshakes = Mutex<[Result<TLSPeer, HTTP2Error>]>([])
    /// TLS handshakes, in the order in which they ended.
    var secured: [Result<TLSPeer, HTTP2Error>] { handshakes.withLock { $0 } }
    /// Why handshakes failed.
    var reasons: [String] {
        secured.compactMap { if case .failure(let error) = $0 { error.message } else { nil } }
    }
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(limits: HTTP2Limits = HTTP2Limits(), tls: TLSContextSource? = nil) {
        let hook = Hook()
        server = HTTP2Server(group: group, limits: limits, tls: tls) { _ in
            var observer = HTTP2Connection.Observer()
            observer.limitHit = { limit, _ in hook.owner?.limits.withLock { $0.append(limit) } }
            observer.secured = { result in hook.owner?.handshakes.withLock { $0.append(result) } }
            observer.streamOpened = { stream in hook.owner.map { EchoHandler(stream: stream, owner: $0) } }
            return observer
        }
        hook.set(self)
    }

    func start() async throws -> Endpoint {
        try await server.bind(to: .tcp(host: "127.0.0.1", port: 0))
    }

    func stop() async throws {
        await server.abort()
        try await group.shutdownGracefully()
    }

    private final class Hook: Sendable {
        private let box = Mutex<EchoServer?>(nil)
        var owner: EchoServer? { box.withLock { $0 } }
        func set(_ owner: EchoServer) { box.withLock { $0 = owner } }
    }
}

private final class EchoHandler: HTTP2StreamHandler {
    private let stream: HTTP2Stream
    private let owner: EchoServer
    private var path = ""

    init(stream: HTTP2Stream, owner: EchoServer) {
        self.stream = stream
        self.owner = owner
        owner.opened.add(1, ordering: .relaxed)
    }

    func received(headers: HTTP2Headers) {
        path = headers[":path"] ?? ""
        switch path {
        case "/echo":
            var answer = HTTP2Headers([(":status", "200")])
            for name in ["x-note", "x-blob-bin"] {
                if let value = headers[name] { answer.add(name, value) }
            }
            stream.send(headers: answer)
        case "/flood":
            stream.send(headers: HTTP2Headers([(":status", "200")]))
            stream.send(body: ByteBuffer(repeating: 7, count: 4 << 20))
            stream.finish()
        case "/early":
            stream.send(headers: HTTP2Headers([(":status", "413"), ("x-why", "early")]), endStream: true)
        default: break
        }
    }

    func received(body: ByteBuffer) {
        owner.received.add(body.readableBytes, ordering: .relaxed)
        switch path {
        case "/echo": stream.send(body: body)
        case "/stall": break
        default: stream.consumed(body.readableBytes)
        }
    }

    func received(trailers: HTTP2Headers) {}

    func receivedEnd() {
        switch path {
        case "/echo": stream.send(trailers: HTTP2Headers([("x-end", "yes")]))
        case "/sink": stream.send(headers: HTTP2Headers([(":status", "200")]), endStream: true)
        default: break
        }
    }

    func bodyLeft(byteCount: Int) {
        if path == "/echo" { stream.consumed(byteCount) }
    }

    func closed(_ closure: HTTP2StreamClosure) {}
}

/// A client connection for tests, usable from outside its loop.
final class TestClient: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let connection: NIOLoopBound<HTTP2Connection>
    private let flags: Flags
    var isGoneAway: Bool { flags.goneAway.load(ordering: .relaxed) }
    var isClosed: Bool { flags.closed.load(ordering: .relaxed) }

    let peer: TLSPeer?

    init(
        _ endpoint: Endpoint,
        limits: HTTP2Limits = HTTP2Limits(),
        tls: TLSContextSource? = nil,
        serverName: String? = nil
    ) async throws {
        let loop = group.next()
        let ready = loop.makePromise(of: Void.self)
        let flags = Flags()
        self.flags = flags
        let connection = try await loop.submit {
            var observer = HTTP2Connection.Observer()
            observer.ready = { ready.succeed() }
            observer.goAway = { flags.goneAway.store(true, ordering: .relaxed) }
            observer.closed = { reason in
                flags.closed.store(true, ordering: .relaxed)
                ready.fail(HTTP2Error(.connectionClosed, reason))
            }
            return NIOLoopBound(
                HTTP2Client.connect(
                    to: endpoint,
                    on: loop,
                    limits: limits,
                    tls: tls,
                    serverName: serverName,
                    observer: observer
                ),
                eventLoop: loop
            )
        }.get()
        self.connection = connection
        try await ready.futureResult.get()
        peer = try await loop.submit { connection.value.peer }.get()
    }

    func call(_ path: String, _ body: Int, extra: [(String, String)] = [], timeout: Duration = .seconds(20))
        async throws
        -> HTTP2Response
    {
        let connection = connection
        return try await connection.eventLoop.flatSubmit {
            let headers = HTTP2Headers(
                [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")] + extra
            )
            return connection.value.call(
                headers: headers,
                body: Self.body(body),
                timeout: timeout,
                maxResponseBytes: 64 << 20
            )
        }.get()
    }

    /// Bytes that differ from place to place, so that pieces in the wrong order show.
    static func body(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8($0 % 251) })
    }

    func stop() async throws {
        let connection = connection
        try await connection.eventLoop.submit { connection.value.abort() }.get()
        try await group.shutdownGracefully()
    }

    private final class Flags: Sendable {
        let goneAway = Atomic<Bool>(false)
        let closed = Atomic<Bool>(false)
    }
}

/// Waits for a condition; false when it does not come true within ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    let limit = MonotonicInstant.now() + .seconds(10)
    while MonotonicInstant.now() < limit {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}
