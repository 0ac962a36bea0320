package import GrootCore
package import NIOCore
import NIOPosix

/// Opens client connections: over TLS, or in cleartext with prior knowledge.
package enum HTTP2Client {
    /// Starts to connect and returns the connection at once; `observer.ready` or `observer.closed` follows.
    ///
    /// Called on `eventLoop`, to which the connection is then confined. With TLS, the server's certificate must carry
    /// the endpoint's host, or `serverName`.
    package static func connect(
        to endpoint: Endpoint,
        on eventLoop: any EventLoop,
        limits: HTTP2Limits = HTTP2Limits(),
        tls: TLSContextSource? = nil,
        serverName: String? = nil,
        timeout: Duration = .seconds(1),
        observer: HTTP2Connection.Observer
    ) -> HTTP2Connection {
        let connection = HTTP2Connection(role: .client, limits: limits, eventLoop: eventLoop, observer: observer)
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.nanoseconds(timeout.nanoseconds))
            .configured(limits)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let name = serverName ?? endpoint.host
                        let handler = try TLSHandler(tls.current, serverName: name, timeout: limits.handshakeTimeout)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
        let channel =
            switch endpoint {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        channel.whenFailure { error in
            bound.value.connectFailed(Self.describe(error))
        }
        return connection
    }

    private static func describe(_ error: any Error) -> String {
        guard let failure = error as? NIOConnectionError else { return "\(error)" }
        if let dns = failure.dnsAError ?? failure.dnsAAAAError { return "\(failure.host) cannot be resolved: \(dns)" }
        let reasons = failure.connectionErrors.map { single in
            let text = "\(single.error)"
            return text.contains("Connection refused") ? "connection refused" : text
        }
        return reasons.first ?? "no address of \(failure.host) answers"
    }
}

extension Endpoint {
    /// What the certificate of whoever listens there must name; unix sockets have no name.
    fileprivate var host: String? {
        switch self {
        case .tcp(let host, _): host
        case .unix: nil
        }
    }
}

extension ClientBootstrap {
    fileprivate func configured(_ limits: HTTP2Limits) -> ClientBootstrap {
        channelOption(.recvAllocator, value: SocketTuning.allocator)
            .channelOption(.writeBufferWaterMark, value: SocketTuning.waterMark(limits))
    }
}

/// Socket options that clients and servers share.
enum SocketTuning {
    /// Large reads spare wake-ups: one observation is 460 kB.
    static let allocator = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 64 << 10, maximum: 256 << 10)

    static func waterMark(_ limits: HTTP2Limits) -> ChannelOptions.Types.WriteBufferWaterMark {
        .init(low: limits.socketHighWater / 2, high: limits.socketHighWater)
    }
}
