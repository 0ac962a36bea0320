import NIOCore
import NIOPosix
import Testing

@testable import ROS1

/// Starts Debian's rosmaster and waits until it answers.
func startRosmaster(port: Int) async throws -> RospyPeer {
    let uri = "http://127.0.0.1:\(port)"
    let peer = try RospyPeer(["master", "\(port)"], masterURI: uri)
    let client = XMLRPCClient(group: MultiThreadedEventLoopGroup.singleton)
    try await eventually("rosmaster answers") {
        // Refused connections are what starting looks like.
        (try? await client.callROS("getPid", [.string("/test")], at: uri)) != nil
    }
    return peer
}

/// A TCP port that nobody uses at the moment.
func freePort() async throws -> Int {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(channel.localAddress?.port)
    try await channel.close()
    return port
}
