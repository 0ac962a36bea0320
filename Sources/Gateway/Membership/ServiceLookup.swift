import Foundation
import GrootCore
import NIOCore
import NIOPosix

/// One SRV question to a name server over UDP (RFC 1035, RFC 2782).
///
/// The system's resolver has no call for SRV that is safe from Swift, and no package at hand does it. Only what this
/// needs is understood: the answer section, names with compression, targets with port. Priority and weight are left to
/// the scheduler, which knows better.
struct ServiceLookup: Sendable {
    var servers: [SocketAddress]
    var timeout = Duration.seconds(1)

    /// The name servers of /etc/resolv.conf.
    static func system(path: String = "/etc/resolv.conf") throws -> ServiceLookup {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let servers = text.split(separator: "\n").compactMap { line -> SocketAddress? in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            // A malformed line is one server less.
            return try? SocketAddress(ipAddress: String(words[1]), port: 53)
        }
        guard !servers.isEmpty else { throw NameResolver.Failure(description: "\(path) names no name server") }
        return ServiceLookup(servers: servers)
    }

    /// Asks every server up to twice, in turn: a datagram may get lost.
    func targets(of name: String) async throws -> [Endpoint] {
        var last: any Error = NameResolver.Failure(description: "no name server")
        for server in servers + servers {
            do {
                return try await ask(server, name)
            } catch {
                last = error
            }
        }
        throw last
    }

    private func ask(_ server: SocketAddress, _ name: String) async throws -> [Endpoint] {
        let id = UInt16.random(in: 0 ... .max)
        let question = Self.question(id: id, name)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: ByteBuffer.self)
        let timer = loop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) {
            promise.fail(NameResolver.Failure(description: "\(server) did not answer"))
        }
        defer {
            timer.cancel()
            // A promise must not be forgotten; once it is kept this does nothing.
            promise.fail(NameResolver.Failure(description: "\(server) could not be asked"))
        }
        let channel = try await DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answer(id: id, server: server, promise: promise))
                }
            }
            .bind(to: SocketAddress(ipAddress: server.protocol == .inet6 ? "::" : "0.0.0.0", port: 0))
            .get()
        defer { channel.close(promise: nil) }
        try await channel.writeAndFlush(AddressedEnvelope(remoteAddress: server, data: question)).get()
        return try Self.targets(in: await promise.futureResult.get(), of: name)
    }

    static func question(id: UInt16, _ name: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        // Recursion desired, one question.
        for word in [id, 0x0100, 1, 0, 0, 0] as [UInt16] { buffer.writeInteger(word) }
        for label in name.split(separator: ".") {
            buffer.writeInteger(UInt8(clamping: label.utf8.count))
            buffer.writeString(String(label))
        }
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt16(33))
        buffer.writeInteger(UInt16(1))
        return buffer
    }

    static func targets(in message: ByteBuffer, of name: String) throws -> [Endpoint] {
        let malformed = NameResolver.Failure(description: "the name server's answer is malformed")
        guard let flags = message.getInteger(at: 2, as: UInt16.self),
            let questions = message.getInteger(at: 4, as: UInt16.self),
            let answers = message.getInteger(at: 6, as: UInt16.self)
        else { throw malformed }
        guard flags & 0x0200 == 0 else {
            throw NameResolver.Failure(description: "\(name) has too many SRV records for one datagram")
        }
        switch flags & 0xF {
        case 0: break
        case 3: throw NameResolver.Failure(description: "\(name) does not exist")
        default: throw NameResolver.Failure(description: "the name server refused with code \(flags & 0xF)")
        }
        var offset = 12
        for _ in 0..<questions {
            guard let next = Self.name(in: message, at: offset)?.next else { throw malformed }
            offset = next + 4
        }
        var targets: [Endpoint] = []
        for _ in 0..<answers {
            guard let head = Self.name(in: message, at: offset)?.next,
                let type = message.getInteger(at: head, as: UInt16.self),
                let length = message.getInteger(at: head + 8, as: UInt16.self)
            else { throw malformed }
            let data = head + 10
            offset = data + Int(length)
            guard type == 33 else { continue }
            guard let port = message.getInteger(at: data + 4, as: UInt16.self),
                let target = Self.name(in: message, at: data + 6)?.name
            else { throw malformed }
            // A single dot says that the service is not there.
            if !target.isEmpty { targets.append(.tcp(host: target, port: Int(port))) }
        }
        return targets
    }

    /// A name, with pointers followed, and where what follows it begins. Nil when malformed.
    private static func name(in message: ByteBuffer, at start: Int) -> (name: String, next: Int)? {
        var labels: [String] = []
        var offset = start
        var next: Int?
        for _ in 0..<128 {
            guard let length = message.getInteger(at: offset, as: UInt8.self) else { return nil }
            switch length {
            case 0: return (labels.joined(separator: "."), next ?? offset + 1)
            case 0xC0...:
                guard let low = message.getInteger(at: offset + 1, as: UInt8.self) else { return nil }
                next = next ?? offset + 2
                offset = Int(length & 0x3F) << 8 | Int(low)
            case 64...: return nil
            default:
                guard let label = message.getString(at: offset + 1, length: Int(length)) else { return nil }
                labels.append(label)
                offset += 1 + Int(length)
            }
        }
        // Pointers in a circle.
        return nil
    }

    /// Waits for the one datagram that answers. Confined to its event loop.
    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        private let id: UInt16
        private let server: SocketAddress
        private let promise: EventLoopPromise<ByteBuffer>

        init(id: UInt16, server: SocketAddress, promise: EventLoopPromise<ByteBuffer>) {
            self.id = id
            self.server = server
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let datagram = unwrapInboundIn(data)
            guard datagram.remoteAddress == server, datagram.data.getInteger(at: 0, as: UInt16.self) == id else {
                return
            }
            promise.succeed(datagram.data)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
        }
    }
}
