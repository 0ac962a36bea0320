import Foundation

/// The profiles that come with the binary, and those in files.
package enum ProfileCatalog {
    package static let builtIn = ["simulator", "5_wheel"]

    /// - Parameter name: a built-in profile or the path of a JSON file.
    package static func load(_ name: String) throws(AgentError) -> RobotProfile {
        switch name {
        case "simulator": return try RobotProfile(json: Data(PackageResources.simulator_json), source: name)
        case "5_wheel": return try RobotProfile(json: Data(PackageResources.__wheel_json), source: name)
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
}
