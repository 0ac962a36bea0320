import GrootCore
import NIOCore
import NIOPosix
import Testing

@testable import ROS1

@Suite("Topics that are written on the publishing thread")
struct DirectPublisherTests {
    @Test("every subscriber gets every message in order, whenever it comes")
    func inOrder() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let publisher = try await agent.advertiseDirect("/commands", as: JointState.self)
                publisher.publish(JointState())
                try await withNode("robot", master: uri) { robot in
                    let inbox = Inbox<Double>()
                    let first = try await robot.subscribe("/commands", to: JointState.self) { message, _ in
                        inbox.add(message.position.first ?? .nan)
                    }
                    try await eventually("connected") { publisher.subscriberCount == 1 }
                    for value in 0..<50 { publisher.publish(JointState(name: ["a"], position: [Double(value)])) }
                    try await withNode("second", master: uri) { second in
                        let other = Inbox<Double>()
                        _ = try await second.subscribe("/commands", to: JointState.self) { message, _ in
                            other.add(message.position.first ?? .nan)
                        }
                        try await eventually("both connected") { publisher.subscriberCount == 2 }
                        for value in 50..<100 { publisher.publish(JointState(name: ["a"], position: [Double(value)])) }
                        try await eventually("all messages") { inbox.count == 100 && other.count == 50 }
                        #expect(inbox.all == (0..<100).map(Double.init))
                        #expect(other.all == (50..<100).map(Double.init))
                    }
                    await first.cancel()
                    try await eventually("both gone") { publisher.subscriberCount == 0 }
                    publisher.publish(JointState())
                    #expect(publisher.leftOutCount == 0)
                }
            }
        }
    }

    @Test("a message larger than the memory set aside arrives whole")
    func large() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let publisher = try await agent.advertiseDirect("/text", as: StdString.self)
                try await withNode("robot", master: uri) { robot in
                    let inbox = Inbox<StdString>()
                    _ = try await robot.subscribe("/text", to: StdString.self) { message, _ in inbox.add(message) }
                    try await eventually("connected") { publisher.subscriberCount == 1 }
                    let text = StdString(data: String(repeating: "0123456789", count: 3000))
                    // The kernel may take a part of it only; the next call completes it.
                    try await eventually("both") {
                        publisher.publish(text)
                        return inbox.count >= 2
                    }
                    #expect(inbox.all.allSatisfy { $0 == text })
                }
            }
        }
    }

    @Test("who does not read is left out, then disconnected and counted; the others miss nothing")
    func lazySubscriber() async throws {
        try await withMaster { uri in
            let metrics = MetricsRegistry()
            try await withNode("agent", master: uri, metrics: metrics) { agent in
                let publisher = try await agent.advertiseDirect("/commands", as: StdString.self)
                try await withNode("robot", master: uri) { robot in
                    let inbox = Inbox<String>()
                    _ = try await robot.subscribe("/commands", to: StdString.self) { message, _ in
                        inbox.add(String(message.data.prefix(8)))
                    }
                    let address = try await tcprosAddress(of: "/agent", topic: "/commands", master: uri)
                    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                        .channelOption(.autoRead, value: false)
                        .connect(host: address.host, port: address.port).get()
                    let header = ["topic": "/commands", "md5sum": "*", "type": "*", "callerid": "/lazy"]
                    try await channel.writeAndFlush(ConnectionHeader(header).framed())
                    try await eventually("connected") { publisher.subscriberCount == 2 }
                    let filling = String(repeating: "x", count: 30_000)
                    var count = 0
                    try await eventually("the lazy one is disconnected") {
                        // The diligent one has taken the last before the next leaves.
                        try await eventually("the diligent one reads") { inbox.count == count }
                        publisher.publish(StdString(data: "\(10_000_000 + count)" + filling))
                        count += 1
                        return publisher.subscriberCount == 1
                    }
                    publisher.publish(StdString(data: "\(10_000_000 + count)"))
                    count += 1
                    try await eventually("the diligent one has all") { inbox.count == count }
                    #expect(inbox.all == (0..<count).map { "\(10_000_000 + $0)" })
                    #expect(publisher.leftOutCount > 0)
                    let text = metrics.render()
                    #expect(text.contains("dropped_messages_total{topic=\"/commands\"} \(publisher.leftOutCount)"))
                    #expect(text.contains("dropped_subscribers_total{topic=\"/commands\"} 1"))
                    try await channel.close()
                }
            }
        }
    }

    @Test("rospy gets the commands", .enabled(if: ROSTools.shouldTest, ROSTools.absent))
    func rospy() async throws {
        try await withMaster { uri in
            try await withNode("agent", master: uri) { agent in
                let publisher = try await agent.advertiseDirect("/kuavo_arm_traj", as: JointState.self)
                let peer = try await RospyPeer.node("robot", masterURI: uri)
                try await peer.command("subscribe", ["topic": "/kuavo_arm_traj", "type": JointState.rosType])
                try await eventually("connected") { publisher.subscriberCount == 1 }
                publisher.publish(JointState(name: ["l1", "l2"], position: [12.5, -3]))
                _ = try await peer.event("message") { $0["topic"] as? String == "/kuavo_arm_traj" }
                let message = try #require(peer.messages(on: "/kuavo_arm_traj").first)
                #expect(message["position"] as? [Double] == [12.5, -3])
                #expect(message["name"] as? [String] == ["l1", "l2"])
            }
        }
    }
}
