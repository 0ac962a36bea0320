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
        step(1, "fleet", PackageResources.m0001_fleet_up_sql, PackageResources.m0001_fleet_down_sql),
        step(2, "telemetry", PackageResources.m0002_telemetry_up_sql, PackageResources.m0002_telemetry_down_sql),
        step(3, "run_configs", PackageResources.m0003_run_configs_up_sql, PackageResources.m0003_run_configs_down_sql),
        step(4, "views", PackageResources.m0004_views_up_sql, PackageResources.m0004_views_down_sql),
        step(5, "thumbnails", PackageResources.m0005_thumbnails_up_sql, PackageResources.m0005_thumbnails_down_sql),
        step(6, "boundaries", PackageResources.m0006_boundaries_up_sql, PackageResources.m0006_boundaries_down_sql),
    ]

    private static func step(_ version: Int, _ name: String, _ up: [UInt8], _ down: [UInt8]) -> Migration {
        Migration(
            version: version,
            name: name,
            up: String(decoding: up, as: UTF8.self),
            down: String(decoding: down, as: UTF8.self)
        )
    }
}

/// A step that the database says it has.
struct AppliedMigration: Sendable {
    var version: Int
    var name: String
    var checksum: String
}
