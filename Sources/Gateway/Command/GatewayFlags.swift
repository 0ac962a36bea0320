import ArgumentParser
import Foundation
import GrootCore

/// The settings that have flags of their own; every other one is given by `--set key=value`, environment or file.
struct GatewayFlags: ParsableArguments {
    @Option(
        help: """
            Comma-separated workers: host, host:port (default port 8090), unix:/path, dns:name:port, \
            srv:_service._tcp.name.
            """
    )
    var workers: String?

    @Option(help: "File with one worker address a line; watched.")
    var workersFile: String?

    @Option(help: "Where robots connect (default 127.0.0.1:8080).")
    var listen: String?

    @Option(help: "Where /livez, /readyz, /metrics and /state are served (default 127.0.0.1:8081).")
    var admin: String?

    @Option(help: "PostgreSQL connection URL. Without it the gateway keeps a database of its own in --state-dir.")
    var database: String?

    @Flag(help: "Bring the schema of --database up to date first; the gateway's own database always is.")
    var migrate = false

    @Option(help: "Directory for what the gateway keeps (default .state/gateway).")
    var stateDir: String?

    @Option(help: "Threads for the data plane (default 1).")
    var eventLoops: String?

    @Option(help: "Log level: trace, debug, info (default), notice, warning, error, critical.")
    var logLevel: String?

    @Option(help: "How workers are chosen: \(RoutingPolicy.allCases.map(\.rawValue).joined(separator: ", ")).")
    var policy: String?

    @Flag(help: "Ask a second worker for a robot that is about to run dry.")
    var hedge = false

    @Option(help: "PEM file with the gateway's certificate (then its intermediates): robots connect over TLS.")
    var tlsCertificate: String?

    @Option(help: "PEM file with the key of --tls-certificate, without a pass phrase.")
    var tlsKey: String?

    @Option(help: "PEM file with the authority of the robots' certificates: each must show one, and speaks for itself.")
    var tlsAuthority: String?

    @Option(help: "File with serial numbers of certificates that are refused, one a line.")
    var tlsRevoked: String?

    @Option(help: "PEM file with the authority of the workers' certificates: the gateway speaks TLS to workers.")
    var workerTlsAuthority: String?

    @Option(help: "A limit towards robots, NAME=VALUE; may be repeated. The same as --set.")
    var limit: [String] = []

    @Option(help: "JSON file with settings (also GROOT_GATEWAY_CONFIG).")
    var config: String?

    @Option(help: "Any setting, as key=value; may be repeated. check-config --list prints them all.")
    var set: [String] = []

    /// What was given, by key. Flags of their own win over --set.
    func values() throws(SettingsError) -> [String: String] {
        var values: [String: String] = [:]
        var problems: [String] = []
        for pair in set + limit {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 {
                values[String(parts[0])] = String(parts[1])
            } else {
                problems.append("--set: \"\(pair)\" is not key=value")
            }
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        let own: [(String, String?)] = [
            ("workers", workers), ("workers-file", workersFile), ("listen", listen), ("admin", admin),
            ("database", database), ("state-dir", stateDir), ("event-loops", eventLoops), ("log-level", logLevel),
            ("policy", policy), ("tls-certificate", tlsCertificate), ("tls-key", tlsKey),
            ("tls-authority", tlsAuthority),
            ("tls-revoked", tlsRevoked), ("worker-tls-authority", workerTlsAuthority),
            ("migrate", migrate ? "true" : nil), ("hedge", hedge ? "true" : nil),
        ]
        for (key, value) in own { if let value { values[key] = value } }
        return values
    }

    /// Flags over environment over file over defaults, checked as a whole.
    func settings() throws(SettingsError) -> GatewaySettings {
        try SettingsReader.load(
            flags: try values(),
            config: config,
            environment: ProcessInfo.processInfo.environment
        ).settings()
    }

    func validate() throws {
        do throws(SettingsError) {
            _ = try settings()
        } catch {
            // Bad usage is shown with the usage; a file that cannot be used is not.
            guard error.exit == .usage else {
                FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
                throw ExitCode(error.exit.rawValue)
            }
            throw ValidationError(error.description)
        }
    }
}
