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

    func infer(
        _ size: Int = 100,
        robot: String? = "r1",
        extra: [(String, String)] = [],
        path: String = "/groot.v1.Inference/Infer",
        timeout: String? = "5S"
    ) async throws -> HTTP2Response {
        let connection = connection
        return try await connection.eventLoop.flatSubmit {
            var headers = HTTP2Headers([
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway"),
                ("content-type", "application/grpc"), ("te", "trailers"),
            ])
            if let robot { headers.add("groot-robot", robot) }
            if let timeout { headers.add("grpc-timeout", timeout) }
            for (name, value) in extra { headers.add(name, value) }
            return connection.value.call(
                headers: headers,
                body: ByteBuffer(repeating: 7, count: size),
                timeout: .seconds(20)
            )
        }.get()
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
