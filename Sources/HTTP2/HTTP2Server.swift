package import GrootCore
package import NIOCore
import NIOPosix
import Synchronization

/// Listens for HTTP/2 connections, over TLS or in cleartext (prior knowledge), and drains them.
///
/// Each connection lives on the event loop that accepted it. The registry of connections is the only state that
/// threads share, behind a mutex.
package final class HTTP2Server: Sendable {
    /// Makes the observer of a new connection, on its event loop. Only `streamOpened` and `closed` matter here.
    package typealias Accept = @Sendable (any EventLoop) -> HTTP2Connection.Observer

    private struct State {
        var listener: (any Channel)?
        var connections: [ObjectIdentifier: NIOLoopBound<HTTP2Connection>] = [:]
    }

    private let group: any EventLoopGroup
    private let limits: HTTP2Limits
    private let tls: TLSContextSource?
    private let accept: Accept
    private let quota: ByteQuota
    private let state = Mutex(State())

    package init(
        group: any EventLoopGroup,
        limits: HTTP2Limits = HTTP2Limits(),
        tls: TLSContextSource? = nil,
        accept: @escaping Accept
    ) {
        self.group = group
        self.limits = limits
        self.tls = tls
        self.quota = ByteQuota(limit: limits.maxQueuedBytesInAll)
        self.accept = accept
    }

    /// Response bytes that wait for peers' credit.
    package var queuedBytes: Int { quota.usedBytes }
    package var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Starts to listen; returns the address with the real port.
    ///
    /// - Throws: `HTTP2Error` with code `address` that names the address.
    package func bind(to endpoint: Endpoint) async throws(HTTP2Error) -> Endpoint {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.recvAllocator, value: SocketTuning.allocator)
            .childChannelOption(.writeBufferWaterMark, value: SocketTuning.waterMark(limits))
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connectionCount < limits.maxConnections else {
                        accept(channel.eventLoop).limitHit?(.connections, "a connection is refused: there are too many")
                        throw HTTP2Error(.tooLarge, "there are \(limits.maxConnections) connections already")
                    }
                    if let tls {
                        let handler = try TLSHandler(tls.current, serverName: nil, timeout: limits.handshakeTimeout)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(adopt(channel))
                }
            }
        do {
            let listener =
                switch endpoint {
                case .tcp(let host, let port): try await bootstrap.bind(host: host, port: port).get()
                case .unix(let path):
                    try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
                }
            state.withLock { $0.listener = listener }
            switch endpoint {
            case .tcp(let host, let port): return .tcp(host: host, port: listener.localAddress?.port ?? port)
            case .unix: return endpoint
            }
        } catch {
            throw HTTP2Error(.address, "cannot listen on \(endpoint); is the address free and local?", cause: error)
        }
    }

    /// Accepts no more, tells every peer, waits for streams in flight, then closes what is left after `budget`.
    package func drain(budget: Duration) async {
        await stopListening()
        forEach { $0.drain() }
        let deadline = MonotonicInstant.now() + budget
        while connectionCount > 0, MonotonicInstant.now() < deadline {
            // Cancellation only shortens the wait.
            if (try? await Task.sleep(for: .milliseconds(10))) == nil { break }
        }
        forEach { $0.close(.noError, reason: "the drain budget is over") }
    }

    /// Closes connections whose peer's certificate was revoked after they were opened.
    package func closeRevoked() {
        guard let tls else { return }
        forEach { connection in
            guard let peer = connection.peer, tls.isRevoked(peer) else { return }
            connection.close(.noError, reason: "the peer's certificate is revoked")
        }
    }

    /// Closes everything at once.
    package func close() async {
        await stopListening()
        forEach { $0.close(.noError, reason: "the server stops") }
    }

    /// Closes everything without a word, as a crash would. For tests of what peers make of that.
    package func abort() async {
        await stopListening()
        forEach { $0.abort() }
    }

    /// Every connection ends without a word, as when a process is killed and started again. For tests.
    package func breakConnections() { forEach { $0.abort() } }

    /// Every connection ends with a GOAWAY at once, streams in flight or not. For tests.
    package func closeConnections() { forEach { $0.close(.internalError, reason: "told to close") } }

    private func stopListening() async {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        // Closing a closed socket is no failure.
        try? await listener?.close().get()
    }

    private func forEach(_ body: @escaping @Sendable (HTTP2Connection) -> Void) {
        for bound in state.withLock({ Array($0.connections.values) }) {
            bound.eventLoop.execute { body(bound.value) }
        }
    }

    private func adopt(_ channel: any Channel) -> HTTP2Connection {
        var observer = accept(channel.eventLoop)
        let closed = observer.closed
        let key = ObjectIdentifier(channel)
        observer.closed = { [weak self] reason in
            self?.state.withLock { _ = $0.connections.removeValue(forKey: key) }
            closed?(reason)
        }
        let connection = HTTP2Connection(
            role: .server,
            limits: limits,
            eventLoop: channel.eventLoop,
            observer: observer,
            quota: quota
        )
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        state.withLock { $0.connections[key] = bound }
        return connection
    }
}
