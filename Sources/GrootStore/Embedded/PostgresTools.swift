import Foundation
import Subprocess

/// Where initdb and postgres are installed, and as whom they must run.
struct PostgresTools: Sendable {
    /// Refused by PostgreSQL as root, so root runs them as this system user.
    static let systemUser = "postgres"

    struct User: Sendable {
        var uid: UInt32
        var gid: UInt32
    }

    /// Directory with `initdb` and `postgres`.
    var binaries: String
    /// Nil when this process is not root: then they run as whoever runs this process.
    var user: User?

    /// Finds the binaries: `pg_config --bindir`, then Debian's versioned directories, newest first.
    ///
    /// - Throws: `toolsMissing` with what to install.
    static func find() async throws(StoreError) -> PostgresTools {
        var candidates: [String] = []
        if let printed = await output(of: "pg_config", ["--bindir"]) { candidates.append(printed) }
        let root = "/usr/lib/postgresql"
        // A directory that is not there has no versions in it.
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        candidates += versions.compactMap(Int.init).sorted(by: >).map { "\(root)/\($0)/bin" }
        let found = candidates.first { directory in
            ["initdb", "postgres"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(directory)/\($0)") }
        }
        guard let found else {
            throw StoreError(
                .toolsMissing,
                "initdb and postgres are not installed; install PostgreSQL (Debian: apt install postgresql) or name a "
                    + "running server with --database postgres://user@host/name"
            )
        }
        return PostgresTools(binaries: found, user: try await unprivilegedUser())
    }

    /// Runs a shell script as the cluster's user; `$0`, `$1`, … are `arguments`.
    ///
    /// - Returns: nil on success, else the end of what it printed.
    func shell(_ script: String, _ arguments: [String]) async throws(StoreError) -> String? {
        let command = command(["sh", "-c", script] + arguments)
        do {
            let result = try await Subprocess.run(
                .name(command.program),
                arguments: .init(command.arguments),
                output: .string(limit: 1 << 20),
                error: .string(limit: 1 << 20)
            )
            guard !result.terminationStatus.isSuccess else { return nil }
            return (result.standardOutput + result.standardError).split(separator: "\n").suffix(5)
                .joined(separator: "; ")
        } catch {
            throw StoreError(.clusterFailed, "cannot run a program as the database's user", cause: error)
        }
    }

    /// The program to launch so that `words` run as the cluster's user, under the same process id.
    ///
    /// `setpriv` and not `PlatformOptions.userID`: swift-subprocess 1.0 calls glibc's `setgroups` between fork and exec,
    /// which waits there for ever for threads that only the parent has.
    func command(_ words: [String]) -> (program: String, arguments: [String]) {
        guard let user else { return (words[0], Array(words.dropFirst())) }
        return ("setpriv", ["--reuid=\(user.uid)", "--regid=\(user.gid)", "--clear-groups", "--"] + words)
    }

    private static func unprivilegedUser() async throws(StoreError) -> User? {
        guard await output(of: "id", ["-u"]) == "0" else { return nil }
        guard let uid = await output(of: "id", ["-u", systemUser]).flatMap(UInt32.init),
            let gid = await output(of: "id", ["-g", systemUser]).flatMap(UInt32.init)
        else {
            throw StoreError(
                .toolsMissing,
                "PostgreSQL refuses to run as root and there is no system user \"\(systemUser)\"; create it, or start "
                    + "groot-gateway as an ordinary user"
            )
        }
        return User(uid: uid, gid: gid)
    }

    /// What a program prints, nil when it is missing or fails.
    private static func output(of program: String, _ arguments: [String]) async -> String? {
        // Absence is an answer here: the caller has other candidates or a message of its own.
        let result = try? await Subprocess.run(
            .name(program),
            arguments: .init(arguments),
            output: .string(limit: 4096),
            error: .discarded
        )
        guard let result, result.terminationStatus.isSuccess else { return nil }
        return result.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
