import Foundation

/// Where things lie in a state directory.
///
/// Pure.
struct ClusterLayout: Sendable, Equatable {
    /// Longest path of a unix socket (`sun_path` without its NUL).
    static let socketPathLimit = 107
    static let databaseName = "groot"
    static let userName = "groot"

    /// Owned by the user that runs postgres.
    let directory: String
    let socketDirectory: String

    var data: String { directory + "/data" }
    /// initdb works here; renamed to `data` when it is complete.
    var unfinishedData: String { directory + "/data.unfinished" }
    var pidFile: String { data + "/postmaster.pid" }
    /// What postgres says before it opens its own log in `log/`.
    var startLog: String { directory + "/start.log" }
    /// Which process the server is, as the gateway saw it.
    var serverRecord: String { directory + "/server" }
    var lock: String { directory + "/lock" }

    init(stateDirectory: String, temporaryDirectory: String = "/tmp") {
        let directory = URL(fileURLWithPath: stateDirectory).standardizedFileURL.resolvingSymlinksInPath().path
        self.directory = directory + "/postgres"
        let beside = self.directory + "/socket"
        if (beside + "/.s.PGSQL.5432").utf8.count <= Self.socketPathLimit {
            self.socketDirectory = beside
        } else {
            self.socketDirectory = "\(temporaryDirectory)/groot-\(Self.digest(self.directory))"
        }
    }

    /// A command for people: psql on this database.
    var psqlScript: String { URL(fileURLWithPath: directory).deletingLastPathComponent().path + "/psql" }

    /// libpq's connection text.
    func conninfo(database: String = databaseName) -> String {
        let host = socketDirectory.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
        return "host='\(host)' port=5432 user=\(Self.userName) dbname=\(database)"
    }

    /// FNV-1a: the same directory finds its socket again after a restart.
    private static func digest(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
