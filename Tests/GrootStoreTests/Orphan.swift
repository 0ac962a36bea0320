import Foundation
import GrootStore
import Logging
import Subprocess

/// Starts a server on an existing cluster without anyone who would stop it.
enum Orphan {
    static func start(directory: String) async throws -> Int32 {
        let data = directory + "/postgres/data"
        let socket = directory + "/postgres/socket"
        let script = """
            bin=$(pg_config --bindir); [ -x "$bin/pg_ctl" ] || bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
            if [ "$(id -u)" = 0 ]; then as="setpriv --reuid postgres --regid postgres --init-groups"; fi
            $as "$bin/pg_ctl" -D "$0" -w -l "$1/orphan.log" -o "-c listen_addresses= -k $1" start >/dev/null 2>&1
            head -1 "$0/postmaster.pid"
            """
        let result = try await Subprocess.run(
            .name("sh"),
            arguments: ["-c", script, data, socket],
            output: .string(limit: 4096),
            error: .discarded
        )
        guard let id = Int32(result.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw StoreError(.clusterFailed, "pg_ctl did not start the orphan")
        }
        return id
    }
}
