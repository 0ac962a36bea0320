import GrootAPI
import GrootCore
import HTTP2
import Logging

/// Everything the process can be told, checked as a whole before anything is opened.
struct GatewaySettings: Sendable {
    var gateway = GatewayConfiguration()
    var directory = WorkerDirectory.Configuration()
    var admin = (host: "127.0.0.1", port: DefaultPort.gatewayAdmin)
    var database: String?
    var migrate = false
    var stateDirectory = ".state/gateway"
    var budgets = ControlBudgets()
    var quarantineLimit = 1000
    var episodeSilence = Duration.seconds(3600)
    var logLevel = Logger.Level.info
    /// Certificate files; read when the settings are complete.
    var tls = TLSConfiguration()
    var workerAuthority: String?

    /// What one value is wrong with; the reader adds key and place.
    struct Problem: Error {
        var text: String

        init(_ text: String) { self.text = text }
    }
}

/// One key: its name in file, environment and flag, what it means, how it is read and shown.
struct Setting: Sendable {
    /// Words joined by dashes; a flag with two dashes in front, an environment variable in capitals.
    let key: String
    /// What, unit, bounds.
    let text: String
    /// What a file must have there.
    var kind = Kind.text
    /// A reload (SIGHUP) takes it over; otherwise it needs a restart.
    var isLive = true
    let read: @Sendable (String, inout GatewaySettings) throws(GatewaySettings.Problem) -> Void
    let show: @Sendable (GatewaySettings) -> String

    /// Kinds of JSON values.
    enum Kind: String, Sendable {
        case text = "a text"
        case list = "a text or a list of texts"
        case whole = "a whole number"
        case number = "a number"
        case flag = "true or false"
    }

    var environmentName: String {
        "GROOT_GATEWAY_" + key.uppercased().replacing("-", with: "_")
    }
}

// Kinds of values. Each names its bounds when a value is out of them.
extension Setting {
    typealias Path<Value> = any WritableKeyPath<GatewaySettings, Value> & Sendable

    static func count(_ key: String, _ text: String, _ range: ClosedRange<Int>, live: Bool = true, _ path: Path<Int>)
        -> Setting
    {
        Setting(key: key, text: "\(text) (\(range.lowerBound) to \(range.upperBound))", kind: .whole, isLive: live) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let number = Int(value), range.contains(number) else {
                throw .init("\"\(value)\" is no whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            settings[keyPath: path] = number
        } show: {
            "\($0[keyPath: path])"
        }
    }

    static func share(
        _ key: String,
        _ text: String,
        _ range: ClosedRange<Double>,
        live: Bool = true,
        _ path: Path<Double>
    ) -> Setting {
        Setting(key: key, text: "\(text) (\(range.lowerBound) to \(range.upperBound))", kind: .number, isLive: live) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let number = Double(value), range.contains(number) else {
                throw .init("\"\(value)\" is no number from \(range.lowerBound) to \(range.upperBound)")
            }
            settings[keyPath: path] = number
        } show: {
            "\($0[keyPath: path])"
        }
    }

    /// A duration in milliseconds.
    static func time(
        _ key: String,
        _ text: String,
        _ range: ClosedRange<Int64>,
        live: Bool = true,
        _ path: Path<Duration>
    ) -> Setting {
        Setting(
            key: key,
            text: "\(text), milliseconds (\(range.lowerBound) to \(range.upperBound))",
            kind: .whole,
            isLive: live
        ) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let number = Int64(value), range.contains(number) else {
                throw .init(
                    "\"\(value)\" is no whole number of milliseconds from \(range.lowerBound) to \(range.upperBound)"
                )
            }
            settings[keyPath: path] = .milliseconds(number)
        } show: {
            "\($0[keyPath: path].nanoseconds / 1_000_000)"
        }
    }

    static func flag(_ key: String, _ text: String, live: Bool = true, _ path: Path<Bool>) -> Setting {
        Setting(key: key, text: "\(text) (true or false)", kind: .flag, isLive: live) {
            (value, settings) throws(GatewaySettings.Problem) in
            switch value.lowercased() {
            case "true", "yes", "1": settings[keyPath: path] = true
            case "false", "no", "0": settings[keyPath: path] = false
            default: throw .init("\"\(value)\" is neither true nor false")
            }
        } show: {
            "\($0[keyPath: path])"
        }
    }
}
