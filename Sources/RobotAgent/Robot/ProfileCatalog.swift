import Foundation
package import ROS1

/// The profiles that come with the binary, and those in files.
package enum ProfileCatalog {
    package static let builtIn = ["simulator", "5_wheel", "4_pro"]

    /// - Parameter name: a built-in profile or the path of a JSON file.
    package static func load(_ name: String) throws(AgentError) -> RobotProfile {
        switch name {
        case "simulator": return try RobotProfile(json: Data(PackageResources.simulator_json), source: name)
        case "5_wheel": return try RobotProfile(json: Data(PackageResources.__wheel_json), source: name)
        case "4_pro": return try RobotProfile(json: Data(PackageResources.__pro_json), source: name)
        default: break
        }
        let json: Data
        do {
            json = try Data(contentsOf: URL(fileURLWithPath: name))
        } catch {
            throw AgentError(
                .badProfile,
                "\"\(name)\" is neither a built-in profile (\(builtIn.joined(separator: ", "))) nor a readable file",
                cause: error
            )
        }
        return try RobotProfile(json: json, source: name)
    }

    /// `auto` is the simulator when its reset service exists, else the 5-W; anything else is loaded.
    package static func resolve(_ name: String, on node: ROSNode) async throws(AgentError) -> RobotProfile {
        guard name == "auto" else { return try load(name) }
        let simulator = try load("simulator")
        guard let extras = simulator.simulator else { return simulator }
        do {
            try await node.waitForService(extras.resetService, timeout: .seconds(2))
            return simulator
        } catch {
            return try load("5_wheel")
        }
    }
}
