import GrootAPI
import GrootCore
import HTTP2
import Logging

// The process itself: where it listens, what it keeps and writes, and its certificates.
extension Setting {
    static let process: [Setting] = [
        Setting(key: "listen", text: "where robots connect: host:port or unix:/path", isLive: false) {
            (value, settings) throws(GatewaySettings.Problem) in
            settings.gateway.listen = try endpoint(value, port: DefaultPort.gateway)
        } show: {
            "\($0.gateway.listen)"
        },
        Setting(key: "admin", text: "where /livez, /readyz, /metrics and /state are served: host:port", isLive: false) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard case .tcp(let host, let port) = try endpoint(value, port: DefaultPort.gatewayAdmin) else {
                throw .init("must be host:port")
            }
            settings.admin = (host, port)
        } show: {
            "\(Endpoint.tcp(host: $0.admin.host, port: $0.admin.port))"
        },
        Setting(
            key: "database",
            text: "PostgreSQL connection URL; without it the gateway keeps a database of its own in state-dir",
            isLive: false
        ) { (value, settings) throws(GatewaySettings.Problem) in
            let isURL = value.hasPrefix("postgres://") || value.hasPrefix("postgresql://")
            guard value.isEmpty || isURL || value.contains("=") else {
                throw .init("\"\(value.prefix(80))\" is no connection URL; expected postgres://USER@HOST/DATABASE")
            }
            settings.database = value.isEmpty ? nil : value
        } show: {
            $0.database.map { masked($0) } ?? ""
        },
        .flag("migrate", "bring the schema of database up to date first", live: false, \.migrate),
        Setting(key: "state-dir", text: "directory for what the gateway keeps", isLive: false) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard !value.isEmpty else { throw .init("is empty") }
            settings.stateDirectory = value
        } show: {
            $0.stateDirectory
        },
        .count("event-loops", "threads of the data plane", 1...64, live: false, \.gateway.eventLoops),
        Setting(key: "log-level", text: "trace, debug, info, notice, warning, error or critical") {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let level = Logger.Level(rawValue: value) else { throw .init("\"\(value)\" is no level") }
            settings.logLevel = level
        } show: {
            $0.logLevel.rawValue
        },
        .share("access-log-sample", "share of good answers in the access log", 0...1, \.gateway.accessLog.sample),
        .count("access-log-rate", "access log lines per second, 0 for none", 0...100_000, \.gateway.accessLog.rate),
        .time("drain-budget-ms", "for requests in flight after SIGTERM", 0...600_000, \.gateway.drainBudget),
    ]

    static let certificates: [Setting] = [
        file("tls-certificate", "PEM file: the gateway's certificate, then its intermediates; robots connect over TLS")
        {
            $0.tls.certificate
        } set: {
            $0.tls.certificate = $1
        },
        file("tls-key", "PEM file: the key of tls-certificate, without a pass phrase") {
            $0.tls.key
        } set: {
            $0.tls.key = $1
        },
        file("tls-authority", "PEM file: the authority of the robots' certificates; each must show one") {
            $0.tls.authority
        } set: {
            $0.tls.authority = $1
        },
        file("tls-revoked", "file: serial numbers of certificates that are refused, one a line") {
            $0.tls.revoked
        } set: {
            $0.tls.revoked = $1
        },
        file("worker-tls-authority", "PEM file: the authority of the workers' certificates; TLS to workers") {
            $0.workerAuthority
        } set: {
            $0.workerAuthority = $1
        },
    ]

    private static func file(
        _ key: String,
        _ text: String,
        get: @escaping @Sendable (GatewaySettings) -> String?,
        set: @escaping @Sendable (inout GatewaySettings, String?) -> Void
    ) -> Setting {
        Setting(key: key, text: text, isLive: false) { (value, settings) throws(GatewaySettings.Problem) in
            set(&settings, value.isEmpty ? nil : value)
        } show: {
            get($0) ?? ""
        }
    }
}
