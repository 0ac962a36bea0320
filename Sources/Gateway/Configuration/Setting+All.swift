import Foundation
import GrootCore
import HTTP2

// The one list of keys: flags, environment, file, check-config and the table in docs/gateway-configuration.md follow it.
extension Setting {
    static let all: [Setting] =
        process + certificates + members + scheduling + health + limits + control + http2 + workerHTTP2

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
        return Setting(key: name, text: text + unit, kind: key.unit == .count ? .whole : .number, isLive: false) {
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
                "comma-separated: host, host:port, unix:/path, dns:name:port (all its addresses), srv:_service._tcp.name",
            kind: .list
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

    static let limits: [Setting] =
        [
            .time("hold-limit-ms", "longest wait for a worker to come up", 0...600_000, \.gateway.holdLimit),
            .time(
                "default-timeout-ms",
                "deadline of a request that brings none",
                1...3_600_000,
                \.gateway.defaultTimeout
            ),
            .time("longest-timeout-ms", "longest deadline", 1...3_600_000, \.gateway.longestTimeout),
            .count("max-body-size", "largest request body", 1024...(1 << 30), \.gateway.bodyLimit),
            .count(
                "held-bytes",
                "request bytes kept until they are answered, in all",
                (1 << 20)...(1 << 40),
                \.gateway.heldBytesLimit
            ),
            .count(
                "held-answer-bytes",
                "an answer up to this size is kept until it is complete",
                0...(1 << 30),
                \.gateway.heldAnswerLimit
            ),
            .count(
                "worker-max-header-list-size",
                "header list of a request as workers accept it",
                1024...(1 << 20),
                \.gateway.workerHeaderListSize
            ),
            .time(
                "upload-timeout-ms",
                "from the head of a request to its last byte",
                1...3_600_000,
                \.gateway.uploadTimeout
            ),
            .count("upload-rate", "least bytes per second of an upload; 0: any", 0...(1 << 30), \.gateway.uploadRate),
        ] + participants

    /// What one robot, by certificate or by name, and what everybody else may have in hand at a time.
    private static let participants: [Setting] = [
        .count(
            "robot-connections",
            "connections of one robot's certificate",
            1...100_000,
            \.gateway.robotLimits.connections
        ),
        .count("robot-streams", "requests of one robot", 1...100_000, \.gateway.robotLimits.streams),
        .count("robot-uploads", "incomplete requests of one robot", 1...100_000, \.gateway.robotLimits.uploads),
        .count(
            "robot-held-bytes",
            "unanswered bytes of one robot",
            65_536...(1 << 40),
            \.gateway.robotLimits.heldBytes
        ),
        .count(
            "peer-connections",
            "connections of any other certificate, or of one address without certificates",
            1...1_000_000,
            \.gateway.peerLimits.connections
        ),
        .count("peer-streams", "requests of such a peer", 1...1_000_000, \.gateway.peerLimits.streams),
        .count("peer-uploads", "incomplete requests of such a peer", 1...1_000_000, \.gateway.peerLimits.uploads),
        .count(
            "peer-held-bytes",
            "unanswered bytes of such a peer",
            65_536...(1 << 40),
            \.gateway.peerLimits.heldBytes
        ),
    ]

    static func endpoint(_ text: String, port: Int) throws(GatewaySettings.Problem) -> Endpoint {
        do throws(EndpointError) {
            return try Endpoint(parsing: text, defaultPort: port)
        } catch {
            throw .init("\(error)")
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
