import GrootCore
import HTTP2
import NIOCore
import NIOPosix
import Synchronization

/// One connection of a robot to a gateway, in this process or another one. Any thread.
final class RobotConnection: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let connection: NIOLoopBound<HTTP2Connection>
    private let end: Ending

    /// - Throws: `HTTP2Error` that says why there is no connection.
    init(to address: Endpoint, tls: TLSContextSource? = nil) async throws {
        let loop = group.next()
        let ready = loop.makePromise(of: Void.self)
        let end = Ending()
        self.end = end
        connection = try await loop.submit {
            var observer = HTTP2Connection.Observer()
            observer.ready = { ready.succeed() }
            observer.closed = {
                end.set($0)
                ready.fail(HTTP2Error(.connectionClosed, $0))
            }
            return NIOLoopBound(
                HTTP2Client.connect(to: address, on: loop, tls: tls, observer: observer),
                eventLoop: loop
            )
        }.get()
        try await ready.futureResult.get()
    }

    /// Why it ended; nil while it lives.
    var closeReason: String? { end.reason }

    /// Who the gateway says it is.
    func peer() async throws -> TLSPeer? {
        let connection = connection
        return try await connection.eventLoop.submit { connection.value.peer }.get()
    }

    /// - Parameters:
    ///   - size: of the body, with the frame of its message.
    ///   - body: instead of one that is right.
    func infer(
        _ size: Int = 100,
        robot: String? = "r1",
        extra: [(String, String)] = [],
        path: String = "/groot.v1.Inference/Infer",
        timeout: String? = "5S",
        contentType: String = "application/grpc",
        body: ByteBuffer? = nil
    ) async throws -> HTTP2Response {
        let connection = connection
        let body = body ?? Self.framed(size)
        return try await connection.eventLoop.flatSubmit {
            var headers = HTTP2Headers([
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway"),
                ("content-type", contentType), ("te", "trailers"),
            ])
            if let robot { headers.add("groot-robot", robot) }
            if let timeout { headers.add("grpc-timeout", timeout) }
            for (name, value) in extra { headers.add(name, value) }
            return connection.value.call(
                headers: headers,
                body: body,
                timeout: .seconds(20)
            )
        }.get()
    }

    /// Sends the head of a request and nothing of its body; returns the head of the answer when it is waited for.
    @discardableResult
    func begin(robot: String, extra: [(String, String)] = [], waits: Bool = false) async throws -> HTTP2Headers? {
        let connection = connection
        let answer = try await connection.eventLoop.submit { () throws -> EventLoopFuture<HTTP2Headers> in
            let headers = HTTP2Headers(
                [
                    (":method", "POST"), (":scheme", "http"), (":path", "/groot.v1.Inference/Infer"),
                    (":authority", "gateway"), ("content-type", "application/grpc"), ("te", "trailers"),
                    ("groot-robot", robot),
                ] + extra
            )
            let promise = connection.eventLoop.makePromise(of: HTTP2Headers.self)
            let handler = Unfinished(promise)
            handler.stream = try connection.value.open(headers: headers, endStream: false, handler: handler)
            return promise.futureResult
        }.get()
        return waits ? try await answer.get() : nil
    }

    /// A request that never ends; collects what is said of it. Confined to the event loop.
    private final class Unfinished: HTTP2StreamHandler {
        private let promise: EventLoopPromise<HTTP2Headers>
        private var isDone = false
        var stream: HTTP2Stream?

        init(_ promise: EventLoopPromise<HTTP2Headers>) { self.promise = promise }

        func received(headers: HTTP2Headers) {
            guard !isDone else { return }
            isDone = true
            promise.succeed(headers)
        }
        func received(body: ByteBuffer) {}
        func received(trailers: HTTP2Headers) {}
        func receivedEnd() {}
        func bodyLeft(byteCount: Int) {}
        func closed(_ closure: HTTP2StreamClosure) {
            stream = nil
            guard !isDone else { return }
            isDone = true
            promise.fail(HTTP2Error(.streamReset, "\(closure.cause), \(closure.code)"))
        }
    }

    /// One message in gRPC's frame, so many bytes in all.
    static func framed(_ size: Int) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeInteger(UInt8(0))
        body.writeInteger(UInt32(max(0, size - 5)))
        body.writeRepeatingByte(7, count: max(0, size - 5))
        return body
    }

    func close() async throws {
        let connection = connection
        try await connection.eventLoop.submit { connection.value.abort() }.get()
        try await group.shutdownGracefully()
    }

    private final class Ending: Sendable {
        private let text = Mutex<String?>(nil)
        var reason: String? { text.withLock { $0 } }
        func set(_ reason: String) { text.withLock { $0 = reason } }
    }
}
