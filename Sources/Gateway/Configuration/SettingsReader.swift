import Foundation
import GrootCore
import HTTP2

/// Puts the settings together: flag over environment over file over default. Pure but for `load`.
///
/// All problems are found in one go, each with key and place.
struct SettingsReader: Sendable {
    /// By key, as given on the command line.
    var flags: [String: String]
    var environment: [String: String]
    /// The file's text, if there is a file.
    var file: (path: String, text: String)?

    static let prefix = "GROOT_GATEWAY_"
    static let fileVariable = prefix + "CONFIG"
    /// Set by deploy/systemd for the command line; no key.
    static let otherVariables = [fileVariable, prefix + "ARGS"]

    /// Reads the file that the flag or the environment names.
    static func load(flags: [String: String], config: String?, environment: [String: String]) throws(SettingsError)
        -> SettingsReader
    {
        var reader = SettingsReader(flags: flags, environment: environment)
        guard let path = config ?? environment[fileVariable], !path.isEmpty else { return reader }
        do {
            reader.file = (path, try String(contentsOfFile: path, encoding: .utf8))
        } catch {
            throw SettingsError(problems: ["config: \(path) cannot be read: \(error.localizedDescription)"])
        }
        return reader
    }

    /// - Throws: `SettingsError` with every problem there is.
    func settings() throws(SettingsError) -> GatewaySettings {
        var problems: [String] = []
        let fromFile = fileValues(&problems)
        let known = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.key, $0) })
        for key in fromFile.keys.sorted() where known[key] == nil {
            problems.append("\(file?.path ?? "file"): there is no key \"\(key)\"\(Self.suggestion(key))")
        }
        for key in flags.keys.sorted() where known[key] == nil {
            problems.append("--set: there is no key \"\(key)\"\(Self.suggestion(key))")
        }
        let names = Set(Setting.all.map(\.environmentName))
        for name in environment.keys.sorted()
        where name.hasPrefix(Self.prefix) && !names.contains(name) && !Self.otherVariables.contains(name) {
            problems.append("environment: \(name) is no setting of the gateway")
        }
        var settings = GatewaySettings()
        for setting in Setting.all {
            let (place, value): (String, String?) =
                if let value = flags[setting.key] {
                    ("--\(setting.key)", value)
                } else if let value = environment[setting.environmentName] {
                    (setting.environmentName, value)
                } else {
                    ("\(file?.path ?? ""): \(setting.key)", fromFile[setting.key])
                }
            guard let value else { continue }
            do throws(GatewaySettings.Problem) {
                try setting.read(value, &settings)
            } catch {
                problems.append("\(place): \(error.text)")
            }
        }
        check(settings, &problems)
        readCertificates(&settings, &problems)
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        settings.directory.workerLimit = settings.gateway.workerLimit
        return settings
    }

    /// What single keys cannot know.
    private func check(_ settings: GatewaySettings, _ problems: inout [String]) {
        if settings.gateway.defaultTimeout > settings.gateway.longestTimeout {
            problems.append("default-timeout-ms: is longer than longest-timeout-ms")
        }
        if settings.gateway.scheduling.outlier.baseEjection > settings.gateway.scheduling.outlier.longestEjection {
            problems.append("outlier-ejection-ms: is longer than outlier-longest-ms")
        }
        if case .tcp(let host, let port) = settings.gateway.listen, port != 0, host == settings.admin.host,
            port == settings.admin.port
        {
            problems.append("admin: is the same address as listen, \(settings.gateway.listen)")
        }
        if settings.migrate, settings.database == nil {
            problems.append("migrate: needs database; the gateway's own database is always brought up to date")
        }
    }

    private func readCertificates(_ settings: inout GatewaySettings, _ problems: inout [String]) {
        func source(_ side: TLSContextSource.Side, _ configuration: TLSConfiguration) -> TLSContextSource? {
            do throws(HTTP2Error) {
                return try TLSContextSource(side, configuration)
            } catch {
                problems.append("TLS: \(error)")
                return nil
            }
        }
        var tls = settings.tls
        if tls.certificate != nil || tls.key != nil || tls.authority != nil || tls.revoked != nil {
            settings.gateway.tls = source(.server, tls)
        }
        guard let authority = settings.workerAuthority else { return }
        // To workers the gateway shows the certificate that robots see.
        tls.authority = authority
        settings.gateway.workerTLS = source(.client, tls)
    }

    private func fileValues(_ problems: inout [String]) -> [String: String] {
        guard let file else { return [:] }
        do {
            return try JSONDecoder().decode([String: FileValue].self, from: Data(file.text.utf8)).mapValues(\.text)
        } catch DecodingError.dataCorrupted(let context) {
            problems.append(
                "\(file.path): is no JSON: \(context.underlyingError.map { "\($0)" } ?? context.debugDescription)"
            )
        } catch DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty {
            let key = context.codingPath[0].stringValue
            problems.append("\(file.path): \(key): must be a text, a number, true, false or a list of texts")
        } catch {
            problems.append("\(file.path): must be one JSON object of settings")
        }
        return [:]
    }

    /// A value of the file as text; its setting reads it as if it were a flag.
    private struct FileValue: Decodable {
        var text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // Each kind in turn; the last one reports.
            if let flag = try? container.decode(Bool.self) {
                text = "\(flag)"
            } else if let number = try? container.decode(Int.self) {
                text = "\(number)"
            } else if let number = try? container.decode(Double.self) {
                text = "\(number)"
            } else if let list = try? container.decode([String].self) {
                text = list.joined(separator: ",")
            } else {
                text = try container.decode(String.self)
            }
        }
    }

    private static func suggestion(_ key: String) -> String {
        let wanted = Set(key)
        func likeness(_ other: String) -> Int {
            wanted.intersection(Set(other)).count - abs(other.count - key.count)
        }
        let near: String? = Setting.all.map(\.key).max { likeness($0) < likeness($1) }
        return near.map { "; did you mean \($0)?" } ?? ""
    }
}

/// Every problem of a configuration.
struct SettingsError: Error, CustomStringConvertible, Equatable {
    var problems: [String]
    var description: String { problems.joined(separator: "\n") }
}
