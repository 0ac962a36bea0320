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

    static let commonPrefix = "GROOT_"
    static let prefix = commonPrefix + "GATEWAY_"
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
            throw SettingsError(fileProblems: ["config: \(path) cannot be read: \(error.localizedDescription)"])
        }
        return reader
    }

    /// - Throws: `SettingsError` with every problem there is.
    func settings() throws(SettingsError) -> GatewaySettings {
        let kinds = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.key, $0.kind) })
        let read = file.map { ConfigurationFile(path: $0.path, text: $0.text, kinds: kinds) }
        let fromFile = read?.values ?? [:]
        var problems = read?.problems ?? []
        let keys = Setting.all.map(\.key)
        for (place, values) in [(file?.path ?? "file", fromFile), ("--set", flags)] {
            for key in values.keys.sorted() where kinds[key] == nil {
                problems.append("\(place): there is no key \"\(key)\"\(Spelling.suggestion(for: key, among: keys))")
            }
        }
        problems += unknownVariables()
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
        let fileProblems = readCertificates(&settings, &problems)
        guard problems.isEmpty, fileProblems.isEmpty else {
            throw SettingsError(problems: problems, fileProblems: fileProblems)
        }
        settings.directory.workerLimit = settings.gateway.workerLimit
        return settings
    }

    /// Variables that look like ours and are not: of our prefix, or a slip of the hand away from a setting.
    private func unknownVariables() -> [String] {
        let names = Setting.all.map(\.environmentName) + Self.otherVariables
        let known = Set(names)
        return environment.keys.sorted().filter { $0.hasPrefix(Self.commonPrefix) && !known.contains($0) }.compactMap {
            let meant = Spelling.nearest(to: $0, among: names)
            let isOurs = $0.hasPrefix(Self.prefix)
            // Of another process, unless it is all but one of ours.
            if !isOurs, Spelling.slips(Array($0), Array(meant ?? "")) > 2 { return nil }
            return "environment: \($0) is no setting of the gateway" + (meant.map { "; did you mean \($0)?" } ?? "")
        }
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

    /// Files that cannot be used are returned; combinations that make no sense are problems like others.
    private func readCertificates(_ settings: inout GatewaySettings, _ problems: inout [String]) -> [String] {
        var fileProblems: [String] = []
        func source(_ side: TLSContextSource.Side, _ configuration: TLSConfiguration) -> TLSContextSource? {
            do throws(HTTP2Error) {
                return try TLSContextSource(side, configuration)
            } catch {
                if configuration.isComplete(for: side) {
                    fileProblems.append("TLS: \(error)")
                } else {
                    problems.append("TLS: \(error)")
                }
                return nil
            }
        }
        var tls = settings.tls
        if tls.certificate != nil || tls.key != nil || tls.authority != nil || tls.revoked != nil {
            settings.gateway.tls = source(.server, tls)
        }
        guard let authority = settings.workerAuthority else { return fileProblems }
        // To workers the gateway shows the certificate that robots see.
        tls.authority = authority
        settings.gateway.workerTLS = source(.client, tls)
        return fileProblems
    }
}

extension TLSConfiguration {
    /// The files that are named go together; what remains to go wrong is in them.
    fileprivate func isComplete(for side: TLSContextSource.Side) -> Bool {
        guard (certificate == nil) == (key == nil) else { return false }
        return switch side {
        case .server: certificate != nil && (revoked == nil || authority != nil)
        case .client: authority != nil
        }
    }
}

/// Every problem of a configuration.
struct SettingsError: Error, CustomStringConvertible, Equatable {
    /// Flags, settings and their combinations.
    var problems: [String] = []
    /// Files that are named rightly and cannot be used.
    var fileProblems: [String] = []

    var description: String { (problems + fileProblems).joined(separator: "\n") }
    var exit: ProcessExit { problems.isEmpty ? .badInput : .usage }
}
