/// One step of the schema.
///
/// Applied steps never change; a correction is a new step.
package struct Migration: Sendable {
    package var version: Int
    package var name: String
    package var up: String
    package var down: String

    package init(version: Int, name: String, up: String, down: String) {
        self.version = version
        self.name = name
        self.up = up
        self.down = down
    }

    /// The steps of this program, oldest first; the files lie beside this one and are embedded by the build.
    package static let all = [
        Migration(
            version: 1,
            name: "fleet",
            up: String(decoding: PackageResources.m0001_fleet_up_sql, as: UTF8.self),
            down: String(decoding: PackageResources.m0001_fleet_down_sql, as: UTF8.self)
        )
    ]
}

/// A step that the database says it has.
struct AppliedMigration: Sendable {
    var version: Int
    var name: String
    var checksum: String
}
