import Foundation
import GrootAPI
import GrootCore
import HTTP2
import Logging

// The one list of keys: flags, environment, file, check-config and the table in docs/gateway-configuration.md follow it.
extension Setting {
    static let all: [Setting] = process + certificates + members + scheduling + health + limits + http2 + workerHTTP2

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

    /// Limits towards robots, as HTTP/2 names them.
    static let http2: [Setting] = HTTP2LimitKey.all.map {
        http2Limit($0.name, $0, "HTTP/2 limit towards robots", \.gateway.http2)
    }

    /// The same towards workers, where answers come in.
    static let workerHTTP2: [Setting] = ["stream-window", "connection-window", "max-frame-size"].compactMap { name in
        HTTP2LimitKey.all.first { $0.name == name }.map { key in
            http2Limit("worker-\(name)", key, "HTTP/2 limit towards workers", \.gateway.workerHTTP2)
        }
    }

    private static func http2Limit(_ name: String, _ key: HTTP2LimitKey, _ text: String, _ path: Path<HTTP2Limits>)
        -> Setting
    {
        let unit = key.unit == .count ? "" : ", \(key.unit.rawValue)"
        return Setting(key: name, text: text + unit, isLive: false) {
            (value, settings) throws(GatewaySettings.Problem) in
            if let problem = HTTP2LimitKey.set(key.name, to: value, in: &settings[keyPath: path]) {
                throw .init(problem)
            }
        } show: {
            let value = key.read($0[keyPath: path])
            return value == value.rounded() ? "\(Int(value))" : "\(value)"
        }
    }

    static let members: [Setting] = [
        Setting(
            key: "workers",
            text:
                "comma-separated: host, host:port, unix:/path, dns:name:port (all its addresses), srv:_service._tcp.name"
        ) { (value, settings) throws(GatewaySettings.Problem) in
            var sources: [WorkerSource] = []
            var problems: [String] = []
            for text in value.split(separator: ",", omittingEmptySubsequences: false) where !value.isEmpty {
                do throws(EndpointError) {
                    let source = try WorkerSource(parsing: String(text))
                    if sources.contains(source) { problems.append("\(source) is listed twice; list each worker once") }
                    sources.append(source)
                } catch {
                    problems.append("\(error)")
                }
            }
            guard problems.isEmpty else { throw .init(problems.joined(separator: "; ")) }
            settings.directory.sources = sources
        } show: {
            $0.directory.sources.map(\.description).joined(separator: ",")
        },
        Setting(key: "workers-file", text: "file with one worker address a line, watched for changes") {
            (value, settings) throws(GatewaySettings.Problem) in
            settings.directory.file = value.isEmpty ? nil : value
        } show: {
            $0.directory.file ?? ""
        },
        .time(
            "resolve-interval-ms",
            "time between two look-ups of a name",
            100...3_600_000,
            \.directory.resolveInterval
        ),
        .time("lease-ms", "a registered worker is forgotten after", 500...3_600_000, live: false, \.directory.lease),
        .count("worker-limit", "workers at a time", 1...4096, \.gateway.workerLimit),
    ]

    static let scheduling: [Setting] = [
        Setting(key: "policy", text: RoutingPolicy.allCases.map(\.rawValue).joined(separator: ", ")) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let policy = RoutingPolicy(rawValue: value) else {
                let known = RoutingPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw .init("there is no policy \"\(value)\"; there are: \(known)")
            }
            settings.gateway.scheduling.policy = policy
        } show: {
            $0.gateway.scheduling.policy.rawValue
        },
        .flag("hedge", "ask a second worker for a robot that is about to run dry", \.gateway.hedges),
        .count(
            "full-scan-limit",
            "up to so many workers all are compared",
            1...4096,
            \.gateway.scheduling.fullScanLimit
        ),
        .count("credit-batches", "batches on one worker's books", 1...16, \.gateway.scheduling.creditBatches),
        .time(
            "dispatch-lead-ms",
            "the next batch is sent before the running one ends",
            0...10_000,
            \.gateway.scheduling.dispatchLead
        ),
        .count(
            "unknown-credit",
            "requests on the books of a worker without batch size",
            1...100_000,
            \.gateway.scheduling.unknownCapacityCredit
        ),
        .count(
            "worker-requests",
            "circuit breaker: requests on one worker's books",
            1...100_000,
            \.gateway.scheduling.maxRequestsPerWorker
        ),
        .count("waiting-limit", "requests in the central queue", 1...100_000, \.gateway.scheduling.waitingLimit),
        .time(
            "failure-penalty-ms",
            "added to the expected delay after a failure",
            0...300_000,
            \.gateway.scheduling.failurePenalty
        ),
        .time(
            "longest-pushback-ms",
            "longest wait that a refusing worker may ask for",
            0...3_600_000,
            \.gateway.scheduling.longestPushback
        ),
        .time("slow-start-ms", "a new worker gets its full share after", 0...600_000, \.gateway.scheduling.slowStart),
        .share("affinity", "a robot keeps a worker that is so much slower", 0...10, \.gateway.scheduling.affinity),
        .share(
            "bounded-load",
            "share of the average load that one worker may get",
            1...100,
            \.gateway.scheduling.boundedLoad
        ),
        .share(
            "patience",
            "waits for a busy worker that answers so many times sooner",
            1...1000,
            \.gateway.scheduling.patience
        ),
        .time(
            "longest-hint-ms",
            "longest groot-next-observation-after-ms",
            1...60_000,
            \.gateway.scheduling.longestHint
        ),
        .count("retry-limit", "repetitions of one request", 0...10, \.gateway.retryLimit),
        .count("retry-minimum", "repetitions at a time, at least", 0...10_000, \.gateway.scheduling.retryMinimum),
        .share(
            "retry-share",
            "repetitions at a time, share of active requests",
            0...1,
            \.gateway.scheduling.retryShare
        ),
        .time(
            "retry-lateness-ms",
            "a repetition may come so long after the robot ran dry",
            0...60_000,
            \.gateway.scheduling.retryLateness
        ),
        .count(
            "robot-limit",
            "robots that are remembered",
            1...1_000_000,
            live: false,
            \.gateway.scheduling.robotLimit
        ),
    ]

    static let health: [Setting] = [
        .time(
            "health-interval-ms",
            "between two health checks",
            50...60_000,
            live: false,
            \.gateway.health.checkInterval
        ),
        .time("health-timeout-ms", "of a health check", 10...60_000, live: false, \.gateway.health.checkTimeout),
        .count(
            "health-failures",
            "failed checks until a worker is down",
            1...100,
            live: false,
            \.gateway.health.failuresUntilDown
        ),
        .time(
            "connect-timeout-ms",
            "of a connection to a worker",
            10...60_000,
            live: false,
            \.gateway.health.connectTimeout
        ),
        .count(
            "outlier-failures",
            "failures in a row that eject",
            1...1000,
            \.gateway.scheduling.outlier.consecutiveFailures
        ),
        .time(
            "outlier-sweep-ms",
            "between two looks at success rates",
            100...600_000,
            \.gateway.scheduling.outlier.sweepInterval
        ),
        .time(
            "outlier-ejection-ms",
            "first ejection; later ones are multiples",
            100...600_000,
            \.gateway.scheduling.outlier.baseEjection
        ),
        .time("outlier-longest-ms", "longest ejection", 100...3_600_000, \.gateway.scheduling.outlier.longestEjection),
        .share(
            "outlier-share",
            "share of the workers that may be ejected; one always may",
            0...1,
            \.gateway.scheduling.outlier.maxEjectedShare
        ),
        .share(
            "panic-share",
            "below this share of workers left, ejections are ignored",
            0...1,
            \.gateway.scheduling.outlier.panicShare
        ),
    ]

    static let limits: [Setting] = [
        .time("hold-limit-ms", "longest wait for a worker to come up", 0...600_000, \.gateway.holdLimit),
        .time("default-timeout-ms", "deadline of a request that brings none", 1...3_600_000, \.gateway.defaultTimeout),
        .time("longest-timeout-ms", "longest deadline", 1...3_600_000, \.gateway.longestTimeout),
        .count("max-body-size", "largest request body", 1024...(1 << 30), \.gateway.bodyLimit),
        .count("held-bytes", "request bytes kept for repetitions, in all", 0...(1 << 40), \.gateway.heldBytesLimit),
    ]

    private static func endpoint(_ text: String, port: Int) throws(GatewaySettings.Problem) -> Endpoint {
        do throws(EndpointError) {
            return try Endpoint(parsing: text, defaultPort: port)
        } catch {
            throw .init("\(error)")
        }
    }

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

    /// A connection URL without its password.
    static func masked(_ url: String) -> String {
        guard let scheme = url.range(of: "://"), let at = url[scheme.upperBound...].lastIndex(of: "@"),
            let colon = url[scheme.upperBound..<at].firstIndex(of: ":")
        else { return url }
        return url[..<colon] + ":***" + url[at...]
    }
}
