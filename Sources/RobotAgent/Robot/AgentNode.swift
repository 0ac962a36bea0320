/// The agent as other ROS nodes know it.
package enum AgentNode {
    /// One name for each robot, so that the ROS master knows of two agents for one.
    package static func name(robot: String) -> String { "/groot_agent_\(robot.replacing("-", with: "_"))" }

    /// Name or address that other nodes reach this machine at, as rospy and roscpp find it; loopback unless told otherwise.
    package static func host(_ environment: [String: String]) -> String {
        for key in ["ROS_HOSTNAME", "ROS_IP"] {
            if let host = environment[key], !host.isEmpty { return host }
        }
        return "127.0.0.1"
    }
}
