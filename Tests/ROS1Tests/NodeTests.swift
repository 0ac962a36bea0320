import GrootCore
import NIOCore
import NIOPosix
import Testing

@testable import ROS1

@Suite("Swift nodes among themselves")
struct NodeTests {
    @Test("messages arrive in order with their receipt, whoever starts first")
    func publishAndSubscribe() async throws {
        try await withMaster { uri in
            try await withNode("robot", master: uri) { robot in
                try await withNode("agent", master: uri) { agent in
                    let inbox = Inbox<(StdInt8, ROSReceipt)>()
                    let subscription = try await agent.subscribe("count", to: StdInt8.self) { inbox.add(($0, $1)) }
                    let publisher = try await robot.advertise("/count", as: StdInt8.self, queue: 100)
                    try await eventually("connected") { publisher.subscriberCount == 1 }
                    for value in 0..<100 { publisher.publish(StdInt8(data: Int8(value))) }
                    try await eventually("all messages") { inbox.count == 100 }
                    #expect(inbox.all.map(\.0.data) == Array(0..<100))
                    let receipt = try #require(inbox.all.first?.1)
                    #expect(receipt.publisher == "/robot" && receipt.md5 == StdInt8.md5 && receipt.byteCount == 1)
                    #expect(subscription.publisherCount == 1)
                    #expect(try await agent.publishedTopics() == ["/count": "std_msgs/Int8"])
                    await subscription.cancel()
                    try await eventually("disconnected") { publisher.subscriberCount == 0 }
                }
            }
        }
    }

    @Test("a latched topic repeats its last message to late subscribers")
    func latched() async throws {
        try await withMaster { uri in
            try await withNode("sim", master: uri) { sim in
                let publisher = try await sim.advertise("outcome", as: StdString.self, latched: true)
                publisher.publish(StdString(data: "running"))
                publisher.publish(StdString(data: "success"))
                try await withNode("agent", master: uri) { agent in
                    let inbox = Inbox<String>()
                    _ = try await agent.subscribe("outcome", to: StdString.self) { message, _ in
                        inbox.add(message.data)
                    }
                    try await eventually("the latched message") { inbox.count > 0 }
                    #expect(inbox.all == ["success"])
                }
            }
        }
    }

    @Test("services answer, fail with their reason, and tell their fingerprint")
    func services() async throws {
        struct Refusal: Error, CustomStringConvertible { var description: String { "the arm is not free" } }
        try await withMaster { uri in
            try await withNode("robot", master: uri) { robot in
                try await withNode("agent", master: uri) { agent in
                    try await robot.advertiseService("arm_mode", as: ChangeArmCtrlMode.self) { request in
                        guard request.controlMode != 9 else { throw Refusal() }
                        return ChangeArmCtrlModeResponse(result: true, mode: request.controlMode, message: "ok")
                    }
                    try await agent.waitForService("arm_mode", timeout: .seconds(5))
                    let response = try await agent.callService(
                        "/arm_mode",
                        as: ChangeArmCtrlMode.self,
                        request: ChangeArmCtrlModeRequest(controlMode: 2),
                        timeout: .seconds(5)
                    )
                    #expect(response == ChangeArmCtrlModeResponse(result: true, mode: 2, message: "ok"))
                    let description = try await agent.describeService("arm_mode", timeout: .seconds(5))
                    #expect(description.type == ChangeArmCtrlMode.rosType && description.md5 == ChangeArmCtrlMode.md5)
                    await expectError(.refused, containing: "the arm is not free") {
                        _ = try await agent.callService(
                            "arm_mode",
                            as: ChangeArmCtrlMode.self,
                            request: ChangeArmCtrlModeRequest(controlMode: 9),
                            timeout: .seconds(5)
                        )
                    }
                    await expectError(.typeMismatch, containing: "md5sum") {
                        _ = try await agent.callService(
                            "arm_mode",
                            as: SetBool.self,
                            request: SetBoolRequest(data: true),
                            timeout: .seconds(5)
                        )
                    }
                    await expectError(.notFound, containing: "/nothing") {
                        _ = try await agent.callService(
                            "nothing",
                            as: Trigger.self,
                            request: TriggerRequest(),
                            timeout: .seconds(5)
                        )
                    }
                    await expectError(.timeout, containing: "/nothing") {
                        try await agent.waitForService("/nothing", timeout: .milliseconds(250))
                    }
                }
            }
        }
    }

    @Test("a service that hangs runs into the caller's timeout")
    func slowService() async throws {
        try await withMaster { uri in
            try await withNode("robot", master: uri) { robot in
                let (stream, release) = AsyncStream.makeStream(of: Void.self)
                try await robot.advertiseService("slow", as: Trigger.self) { _ in
                    for await _ in stream {}
                    return TriggerResponse()
                }
                // The look-up at the master comes out of the same time, also on a busy machine.
                await expectError(.timeout, containing: "did not answer") {
                    _ = try await robot.callService(
                        "slow",
                        as: Trigger.self,
                        request: TriggerRequest(),
                        timeout: .seconds(3)
                    )
                }
                release.finish()
            }
        }
    }

    @Test("wrong use is refused with a reason")
    func wrongUse() async throws {
        let lost = ROSNode(name: "lost", masterURI: "http://127.0.0.1:1", logger: .testing)
        await expectError(.unreachable, containing: "127.0.0.1:1") { try await lost.start() }
        await expectError(.invalidUse, containing: "start the node") { _ = try await lost.publishedTopics() }
        try await withMaster { uri in
            try await withNode("once", master: uri) { node in
                _ = try await node.advertise("t", as: StdString.self)
                await expectError(.invalidUse, containing: "already") {
                    _ = try await node.advertise("/t", as: StdString.self)
                }
                await expectError(.invalidUse, containing: "no ROS name") {
                    _ = try await node.advertise("a b", as: StdString.self)
                }
                await node.shutdown()
                await expectError(.shutDown, containing: "shut down") { _ = try await node.publishedTopics() }
            }
        }
    }

    @Test("a second node of the same name makes the first one step back")
    func superseded() async throws {
        try await withMaster { uri in
            try await withNode("twin", master: uri) { first in
                _ = try await first.advertise("t", as: StdString.self)
                try await withNode("twin", master: uri) { second in
                    _ = try await second.advertise("t", as: StdString.self)
                    try await eventually("the first one steps back") { first.isSuperseded }
                    #expect(!second.isSuperseded)
                }
            }
        }
    }

    @Test("publisher and subscriber find each other again after the master restarted empty")
    func masterRestart() async throws {
        let port = try await freePort()
        let uri = "http://127.0.0.1:\(port)"
        let master = ROSMaster(port: port, logger: .testing)
        _ = try await master.start()
        try await withNode("robot", master: uri) { robot in
            let publisher = try await robot.advertise("t", as: StdString.self)
            try await robot.advertiseService("f", as: Trigger.self) { _ in TriggerResponse(success: true) }
            await master.stop()
            _ = try await master.start()
            try await withNode("agent", master: uri) { agent in
                let inbox = Inbox<String>()
                _ = try await agent.subscribe("t", to: StdString.self) { message, _ in inbox.add(message.data) }
                try await eventually("a connection through the new master") { publisher.subscriberCount == 1 }
                publisher.publish(StdString(data: "again"))
                try await eventually("the message") { inbox.all == ["again"] }
                try await agent.waitForService("f", timeout: .seconds(5))
            }
        }
        await master.stop()
    }

    @Test("a subscriber survives its publisher's restart")
    func publisherRestart() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let inbox = Inbox<String>()
                let subscription = try await agent.subscribe("t", to: StdString.self) { message, _ in
                    inbox.add(message.data)
                }
                for life in ["first", "second"] {
                    try await withNode("robot", master: uri) { robot in
                        let publisher = try await robot.advertise("t", as: StdString.self)
                        try await eventually("connected to the \(life)") { publisher.subscriberCount == 1 }
                        publisher.publish(StdString(data: life))
                        try await eventually("its message") { inbox.all.last == life }
                    }
                    try await eventually("the \(life) is gone") { subscription.publisherCount == 0 }
                }
            }
        }
    }

    @Test("a subscriber that does not read loses the oldest images and never holds up the publisher")
    func slowSubscriber() async throws {
        try await withMaster { uri in
            let metrics = MetricsRegistry()
            try await withNode("camera", master: uri, metrics: metrics) { camera in
                let publisher = try await camera.advertise("image", as: ROSImage.self, queue: 3)
                let address = try await tcprosAddress(of: "/camera", topic: "/image", master: uri)
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .channelOption(.autoRead, value: false)
                    .connect(host: address.host, port: address.port).get()
                let header = ConnectionHeader(["topic": "/image", "md5sum": "*", "type": "*", "callerid": "/lazy"])
                try await channel.writeAndFlush(header.framed())
                try await eventually("connected") { publisher.subscriberCount == 1 }
                let image = sampleImage(width: 640, height: 480)
                for _ in 0..<40 { publisher.publish(image) }
                #expect(publisher.droppedCount >= 20)
                #expect(metrics.render().contains("dropped_messages_total{topic=\"/image\"} \(publisher.droppedCount)"))
                try await channel.close()
                try await eventually("noticed") { publisher.subscriberCount == 0 }
            }
        }
    }

    @Test("bytes that are no message are counted and skipped, the connection stays")
    func undecodable() async throws {
        try await withMaster { uri in
            let metrics = MetricsRegistry()
            try await withNode("robot", master: uri) { robot in
                try await withNode("agent", master: uri, metrics: metrics) { agent in
                    let inbox = Inbox<StdString>()
                    // Same name, other content: the type matches, the bytes do not.
                    let publisher = try await robot.advertise("t", as: Impostor.self)
                    _ = try await agent.subscribe("t", to: StdString.self) { message, _ in inbox.add(message) }
                    try await eventually("connected") { publisher.subscriberCount == 1 }
                    publisher.publish(Impostor(length: 1000))
                    publisher.publish(Impostor(length: 0))
                    try await eventually("the good one") { inbox.all == [StdString()] }
                    #expect(metrics.render().contains("undecodable_messages_total{topic=\"/t\"} 1"))
                }
            }
        }
    }

    @Test("fields of unknown meaning are refused, with both fingerprints, and the next generation is taken")
    func unknownGeneration() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let inbox = Inbox<StdString>()
                let events = Inbox<ROSPublisherEvent>()
                _ = try await agent.subscribe("t", to: StdString.self) {
                    events.add($0)
                } handler: { message, _ in
                    inbox.add(message)
                }
                try await withNode("robot", master: uri) { robot in
                    let publisher = try await robot.advertise("t", as: Moved.self, latched: true)
                    publisher.publish(Moved())
                    try await eventually("it is refused") {
                        events.all.contains { if case .refused = $0 { true } else { false } }
                    }
                    guard case .refused(let refusal) = events.all.first else { return }
                    #expect(refusal.publisher == .init(name: "/robot", type: StdString.rosType, md5: Moved.md5))
                    #expect("\(refusal)".contains(Moved.md5) && "\(refusal)".contains(StdString.md5))
                    #expect(inbox.count == 0)
                }
                try await withNode("robot", master: uri) { robot in
                    let publisher = try await robot.advertise("t", as: StdString.self, latched: true)
                    publisher.publish(StdString(data: "known"))
                    try await eventually("the known one is heard") { inbox.all == [StdString(data: "known")] }
                }
                try await eventually("it is gone") {
                    events.all.last
                        == .disconnected(
                            .init(name: "/robot", type: StdString.rosType, md5: StdString.md5)
                        )
                }
            }
        }
    }

    @Test("a type of the same fields is another type")
    func sameFieldsOtherType() async throws {
        try await withMaster { uri in
            try await withNode("robot", master: uri) { robot in
                try await withNode("agent", master: uri) { agent in
                    _ = try await robot.advertise("t", as: Namesake.self)
                    let events = Inbox<ROSPublisherEvent>()
                    _ = try await agent.subscribe("t", to: StdString.self) {
                        events.add($0)
                    } handler: { _, _ in
                    }
                    try await eventually("it is refused") {
                        events.all.contains { if case .refused = $0 { true } else { false } }
                    }
                }
            }
        }
    }

    @Test("the graph names who publishes and listens, the living are told from the dead, and changes are told at once")
    func graph() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let changes = Inbox<Int>()
                try await agent.watchPublishers(of: "arm", type: "*") { changes.add(1) }
                #expect(try await !agent.isAlive(node: "/teleop"))
                try await withNode("teleop", master: uri) { teleop in
                    _ = try await teleop.advertise("arm", as: StdString.self)
                    try await eventually("the master tells of it") { changes.count > 0 }
                    let graph = try await agent.graph()
                    #expect(graph.publishers["/arm"] == ["/teleop"] && graph.subscribers["/arm"] == ["/agent"])
                    #expect(try await agent.isAlive(node: "/teleop"))
                }
                // A node that died without signing off: registered, and nobody at its address.
                let client = XMLRPCClient(group: MultiThreadedEventLoopGroup.singleton)
                let dead = ["/dead", "/arm", "std_msgs/String", "http://127.0.0.1:1/"].map(XMLRPCValue.string)
                _ = try await client.callROS("registerPublisher", dead, at: uri)
                #expect(try await agent.graph().publishers["/arm"] == ["/dead"])
                #expect(try await !agent.isAlive(node: "/dead"))
            }
        }
    }

    @Test("a publisher that accepts and breaks off is tried with growing pauses")
    func breakingOff() async throws {
        try await withMaster { uri in
            let connections = Inbox<MonotonicInstant>()
            // Answers requestTopic, sends its header and closes.
            let flaky = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    connections.add(.now())
                    let header = ConnectionHeader([
                        "callerid": "/flaky", "type": StdString.rosType, "md5sum": StdString.md5, "topic": "/t",
                    ])
                    channel.writeAndFlush(header.framed()).whenComplete { _ in channel.close(promise: nil) }
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(flaky.localAddress?.port)
            let api = try await XMLRPCServer.start(
                host: "127.0.0.1",
                port: 0,
                group: MultiThreadedEventLoopGroup.singleton
            ) { _, _ in .array([.int(1), .string(""), .array([.string("TCPROS"), .string("127.0.0.1"), .int(port)])]) }
            let client = XMLRPCClient(group: MultiThreadedEventLoopGroup.singleton)
            let flakyNode = ["/flaky", "/t", StdString.rosType, "http://127.0.0.1:\(api.port)/"].map(XMLRPCValue.string)
            _ = try await client.callROS("registerPublisher", flakyNode, at: uri)
            let began = MonotonicInstant.now()
            try await withNode("agent", master: uri) { agent in
                _ = try await agent.subscribe("t", to: StdString.self) { _, _ in }
                try await eventually("four attempts", within: .seconds(30)) { connections.count >= 4 }
            }
            // However busy the machine is, three pauses cannot have been shorter.
            let times = connections.all
            #expect(times[3] - began >= RetryBackoff.first * (1 + 2 + 4), "\(times.map { $0 - began })")
            await api.stop()
            try await flaky.close()
        }
    }

    @Test(
        "what is bound for a host that others are told",
        arguments: [
            ("10.0.0.7", "10.0.0.7"), ("localhost", "127.0.0.1"), ("kuavo-nuc", "0.0.0.0"), ("::1", "::1"),
        ]
    )
    func bindable(host: String, address: String) {
        #expect(ROSAddress.bindable(host) == address)
    }

    @Test("500 Hz of joint data and 30 Hz of images pass without loss")
    func load() async throws {
        try await withMaster { uri in
            try await withNode("robot", master: uri) { robot in
                try await withNode("agent", master: uri) { agent in
                    let joints = Inbox<MonotonicInstant>()
                    let images = Inbox<Int>()
                    _ = try await agent.subscribe("joints", to: SensorsData.self) { joints.add($1.receivedAt) }
                    _ = try await agent.subscribe("image", to: ROSImage.self) { image, _ in
                        images.add(image.data.count)
                    }
                    let fast = try await robot.advertise("joints", as: SensorsData.self, queue: 2000)
                    let large = try await robot.advertise("image", as: ROSImage.self, queue: 100)
                    try await eventually("connected") { fast.subscriberCount == 1 && large.subscriberCount == 1 }
                    let sample = sampleSensors(joints: 20)
                    let image = sampleImage(width: 640, height: 480)
                    let started = MonotonicInstant.now()
                    for index in 0..<1000 {
                        fast.publish(sample)
                        if index % 16 == 0 { large.publish(image) }
                    }
                    try await eventually("two seconds' worth arrived") { joints.count == 1000 && images.count == 63 }
                    let taken = MonotonicInstant.now() - started
                    #expect(images.all.allSatisfy { $0 == 921_600 })
                    #expect(fast.droppedCount == 0 && large.droppedCount == 0)
                    print("ROS1 load: 1000 sensorsData + 63 images in \(taken)")
                }
            }
        }
    }
}

/// Claims to be a string but writes a length and nothing behind it.
private struct Impostor: ROSMessage {
    static let rosType = StdString.rosType
    static let md5 = StdString.md5
    static let definition = StdString.definition
    var length: UInt32

    init(length: UInt32) { self.length = length }
    init(from reader: inout ROSReader) throws(ROSError) { length = try reader.integer() }
    func encode(to writer: inout ROSWriter) { writer.integer(length) }
}

/// A string whose robot moved a field: the name of the type stayed, the fingerprint is another.
private struct Moved: ROSMessage {
    static let rosType = StdString.rosType
    static let definition = "uint8 flags\nstring data\n"
    static let md5 = computedMD5()

    init() {}
    init(from reader: inout ROSReader) throws(ROSError) {}
    func encode(to writer: inout ROSWriter) {
        writer.integer(UInt8(1))
        writer.string("moved")
    }
}

/// The fields of a string under another name.
private struct Namesake: ROSMessage {
    static let rosType = "other_msgs/Text"
    static let definition = StdString.definition
    static let md5 = StdString.md5

    init(from reader: inout ROSReader) throws(ROSError) {}
    func encode(to writer: inout ROSWriter) {}
}

/// Runs the body and expects our error with the code and a part of its text.
func expectError(
    _ code: ROSError.Code,
    containing text: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("no error, expected \(code)", sourceLocation: sourceLocation)
    } catch {
        #expect((error as? ROSError)?.code == code, "\(error)", sourceLocation: sourceLocation)
        #expect("\(error)".contains(text), sourceLocation: sourceLocation)
    }
}
