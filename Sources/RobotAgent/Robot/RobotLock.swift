import Glibc
import NIOCore
import NIOPosix

/// Says on this machine that a robot is driven, whatever account or state directory the agent has.
///
/// A unix socket in the abstract namespace, of which there is one for each name: no file stays behind, no folder has to be
/// shared, and the kernel frees it with the process, however that ends. An agent on another machine, or in a container
/// with a network of its own, is found by the ROS master (`AgentStart`).
final class RobotLock: Sendable {
    private let channel: any Channel

    private init(channel: any Channel) {
        self.channel = channel
    }

    /// - Throws: `unavailable` when another process drives the robot.
    static func take(robot: String) async throws(AgentError) -> RobotLock {
        do {
            // The leading zero makes the name abstract. Nobody has anything to say to a lock.
            let address = try SocketAddress(unixDomainSocketPath: "\0groot-agent/\(robot)")
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { $0.close() }
                .bind(to: address).get()
            return RobotLock(channel: channel)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw AgentError(
                .unavailable,
                "another groot-agent on this machine drives robot \(robot) already; stop it first "
                    + "(systemctl status 'groot-agent@*'), or give this one another --robot"
            )
        } catch {
            throw AgentError(.unavailable, "robot \(robot) cannot be locked on this machine", cause: error)
        }
    }

    func release() async {
        // Closing twice reports an error that changes nothing.
        try? await channel.close().get()
    }
}
