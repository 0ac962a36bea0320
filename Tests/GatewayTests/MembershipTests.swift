import Foundation
import GrootCore
import GrootTesting
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Gateway

struct MembershipTests {
    private let one = Endpoint.tcp(host: "one", port: 8090)
    private let two = Endpoint.tcp(host: "two", port: 8090)

    @Test
    func sourcesAddUpAndALeftSourceTakesOnlyItsOwn() {
        var membership = Membership()
        #expect(membership.said(.flag, [two, one]) == [.add(two, .flag), .add(one, .flag)])
        #expect(membership.said(.file, [one]).isEmpty)
        #expect(membership.said(.flag, []) == [.remove(two)])
        #expect(membership.silenced(.file) == [.remove(one)])
    }

    @Test
    func aLeaseEndsUnlessItIsRenewed() {
        var membership = Membership(lease: .seconds(10))
        #expect(membership.registered("w1", at: one, now: at(0)) == .accepted([.add(one, .registered)]))
        #expect(membership.registered("w1", at: one, now: at(9000)) == .accepted([]))
        #expect(membership.timePassed(at(18_999)).expired.isEmpty)
        let end = membership.timePassed(at(19_000))
        #expect(end.expired == ["w1"] && end.actions == [.remove(one)])
    }

    @Test
    func aWorkerThatMovesAndOneThatTakesAnothersPlace() {
        var membership = Membership()
        _ = membership.registered("w1", at: one, now: at(0))
        #expect(membership.registered("w2", at: one, now: at(1)) == .taken(by: "w1"))
        #expect(membership.registered("w1", at: two, now: at(2)) == .accepted([.remove(one), .add(two, .registered)]))
        #expect(membership.left("w1") == [.remove(two)])
        var small = Membership(limit: 1)
        _ = small.registered("w1", at: one, now: at(0))
        #expect(small.registered("w2", at: two, now: at(0)) == .full)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func actionsAlwaysLeadToTheUnion(seed: UInt64) {
        var random = SplitMix(state: seed)
        var membership = Membership(lease: .seconds(5))
        var members: Set<Endpoint> = []
        var said: [Membership.Voice: Set<Endpoint>] = [:]
        let endpoints = (0..<6).map { Endpoint.tcp(host: "h\($0)", port: 1) }
        for _ in 0..<300 {
            let voice: Membership.Voice = random.next() % 2 == 0 ? .flag : .file
            let some = endpoints.filter { _ in random.next() % 2 == 0 }
            let actions: [Membership.Action]
            if random.next() % 4 == 0 {
                actions = membership.silenced(voice)
                said[voice] = nil
            } else {
                actions = membership.said(voice, some)
                said[voice] = Set(some)
            }
            for action in actions {
                switch action {
                case .add(let endpoint, _, _): #expect(members.insert(endpoint).inserted)
                case .remove(let endpoint): #expect(members.remove(endpoint) != nil)
                }
            }
            #expect(members == said.values.reduce(into: []) { $0.formUnion($1) })
        }
    }

    /// Whoever says it: what an operator wrote counts before what a worker says, and the name that was asked for is what
    /// the certificate must carry.
    @Test
    func addressesOfANameAreVerifiedAgainstTheName() {
        let two = Endpoint.tcp(host: "10.0.0.2", port: 8090)
        let voice = Membership.Voice.name(.name("worker.site", port: 8090))
        var membership = Membership()
        #expect(membership.said(voice, [two]) == [.add(two, .dns, verifiedAs: "worker.site")])
        #expect(membership.registered("w", at: two, now: at(0)) == .accepted([]), "the name stays what counts")
        membership = Membership()
        let target = Endpoint.tcp(host: "w1.site", port: 8090)
        #expect(membership.said(.name(.service("_grpc._tcp.site")), [target]) == [.add(target, .dns)])
    }

    @Test(arguments: ["", "a b", "dns:", "srv:x", "srv:_groot.x", "w1:99999", "unix:relative"])
    func sourcesThatMakeNoSense(_ text: String) {
        #expect(throws: EndpointError.self) { try WorkerSource(parsing: text) }
    }

    @Test
    func sourcesRead() throws {
        #expect(try WorkerSource(parsing: "gpu1") == .address(.tcp(host: "gpu1", port: 8090)))
        #expect(try WorkerSource(parsing: "dns:workers.fleet:9000") == .name("workers.fleet", port: 9000))
        #expect(try WorkerSource(parsing: "srv:_groot._tcp.fleet.local") == .service("_groot._tcp.fleet.local"))
        #expect(try WorkerDirectory.endpoints(in: "gpu1 # the old one\n\n#x\ngpu2:9\ngpu1\n").count == 2)
        #expect(throws: EndpointError.self) { try WorkerDirectory.endpoints(in: "gpu1\nnot one\u{0}:x\n") }
    }

    /// Against a real UDP socket that plays name server.
    @Test
    func serviceRecordsAreLookedUp() async throws {
        let server = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(NameServer()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(server.localAddress)
        let lookup = ServiceLookup(servers: [address], timeout: .seconds(20))
        let found = try await lookup.targets(of: "_groot._tcp.fleet.local")
        #expect(found == [.tcp(host: "gpu1.fleet.local", port: 8090), .tcp(host: "gpu2.fleet.local", port: 9090)])
        let error = await #expect(throws: NameResolver.Failure.self) { try await lookup.targets(of: "_nobody._tcp.x") }
        #expect(error?.description.contains("does not exist") == true)
        try await server.close()
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func malformedAnswersAreErrorsAndNeverMore(seed: UInt64) {
        var random = SplitMix(state: seed)
        var message = ServiceLookup.question(id: 1, "_groot._tcp.fleet.local")
        message.setInteger(UInt16(0x8180), at: 2)
        message.setInteger(UInt16(1 + random.next() % 3), at: 6)
        for _ in 0..<(random.next() % 80) { message.writeInteger(UInt8(truncatingIfNeeded: random.next())) }
        _ = try? ServiceLookup.targets(in: message, of: "x")
    }

    @Test
    func localhostResolves() async throws {
        let found = try await NameResolver.resolve(.name("localhost", port: 7))
        #expect(found.contains(.tcp(host: "127.0.0.1", port: 7)))
    }
}

/// Answers `_groot._tcp.fleet.local` with two targets, one of them by a compressed name; everything else does not exist.
private final class NameServer: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let question = unwrapInboundIn(data)
        var answer = question.data
        guard answer.getString(at: 13, length: 6) == "_groot" else {
            answer.setInteger(UInt16(0x8183), at: 2)
            reply(answer, to: question.remoteAddress, context)
            return
        }
        answer.setInteger(UInt16(0x8180), at: 2)
        answer.setInteger(UInt16(2), at: 6)
        // "fleet.local" stands at offset 12 + 7 + 5.
        for (host, port) in [("gpu1", 8090), ("gpu2", 9090)] as [(String, UInt16)] {
            answer.writeInteger(UInt16(0xC00C))
            for word in [33, 1, 0, 60] as [UInt16] { answer.writeInteger(word) }
            answer.writeInteger(UInt16(6 + 5 + 2))
            for word in [0, 0, port] { answer.writeInteger(word) }
            answer.writeInteger(UInt8(4))
            answer.writeString(host)
            answer.writeInteger(UInt16(0xC000 | 24))
        }
        reply(answer, to: question.remoteAddress, context)
    }

    private func reply(_ answer: ByteBuffer, to address: SocketAddress, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(AddressedEnvelope(remoteAddress: address, data: answer)), promise: nil)
    }
}
