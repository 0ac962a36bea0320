import ArgumentParser
import Foundation
import GrootCore
import GrootTesting
import Testing

@testable import Gateway

struct SettingsTests {
    private func read(
        _ flags: [String: String] = [:],
        _ environment: [String: String] = [:],
        file: String? = nil
    ) throws(SettingsError) -> GatewaySettings {
        var reader = SettingsReader(flags: flags, environment: environment)
        if let file { reader.file = ("gateway.json", file) }
        return try reader.settings()
    }

    @Test
    func flagsWinOverEnvironmentOverFileOverDefaults() throws {
        let file =
            #"{"waiting-limit": 10, "policy": "p2c", "slow-start-ms": 7, "hedge": true, "workers": ["a", "b:9"]}"#
        let environment = ["GROOT_GATEWAY_POLICY": "round-robin", "GROOT_GATEWAY_SLOW_START_MS": "8", "PATH": "x"]
        let settings = try read(["slow-start-ms": "9"], environment, file: file)
        #expect(settings.gateway.scheduling.waitingLimit == 10)
        #expect(settings.gateway.scheduling.policy == .roundRobin)
        #expect(settings.gateway.scheduling.slowStart == .milliseconds(9))
        #expect(settings.gateway.hedges)
        #expect(settings.directory.addresses == [.tcp(host: "a", port: 8090), .tcp(host: "b", port: 9)])
        #expect(settings.gateway.retryLimit == 2)
    }

    @Test
    func allProblemsAreNamedTogether() throws {
        let error = #expect(throws: SettingsError.self) {
            try read(
                ["workers": "w1,w1:8090,:x", "listen": "[::", "event-loops": "0", "polcy": "p2c"],
                ["GROOT_GATEWAY_WAITING_LIMT": "3", "GROOT_GATEWAY_RETRY_SHARE": "2"],
                file: #"{"log-level": "loud", "max-body": 3, "migrate": true}"#
            )
        }
        let text = error?.description ?? ""
        for part in [
            "w1:8090 is listed twice", "--listen", "--event-loops: \"0\"",
            "there is no key \"polcy\"; did you mean policy?",
            "GROOT_GATEWAY_WAITING_LIMT", "GROOT_GATEWAY_RETRY_SHARE: \"2\"", "gateway.json: log-level", "\"max-body\"",
            "migrate: needs database",
        ] {
            #expect(text.contains(part), "\(part) in\n\(text)")
        }
    }

    @Test(arguments: ["", "[]", "{", #"{"policy": {}}"#, #"{"policy": null}"#, "\u{FF}"])
    func filesThatAreNone(_ text: String) {
        #expect(throws: SettingsError.self) { try read(file: text) }
    }

    /// Every setting x every kind of JSON value: its own kind is read, the others are refused with its name.
    @Test
    func valuesHaveTheKindOfTheirKey() throws {
        let values: [(json: String, fits: [Setting.Kind])] = [
            ("\"x\"", []), ("\"7\"", []), ("7", [.whole, .number]), ("0.5", [.number]), ("true", [.flag]),
            ("null", []), ("{}", []), ("[]", [.list]), ("[\"w1\"]", [.list]), ("[1]", []), ("[[\"a\"]]", []),
        ]
        for setting in Setting.all {
            for (json, fits) in values {
                let file = ConfigurationFile(
                    path: "f",
                    text: "{\"\(setting.key)\": \(json)}",
                    kinds: [setting.key: setting.kind]
                )
                let isText = json.hasPrefix("\"") && (setting.kind == .text || setting.kind == .list)
                let isRead = file.problems.isEmpty && file.values[setting.key] != nil
                #expect(isRead == (isText || fits.contains(setting.kind)), "\(setting.key): \(json)")
                if !isRead { #expect(file.problems.first?.contains("\(setting.key): must be") == true) }
            }
        }
    }

    /// One slip of the hand in every key, in file, flag and environment: the key is refused and the right one named.
    @Test
    func slipsOfTheHandAreNamed() {
        for key in Setting.all.map(\.key) where key.count > 4 {
            var letters = Array(key)
            letters.swapAt(2, 3)
            let slip = String(letters)
            guard slip != key else { continue }
            let variable = SettingsReader.prefix + slip.uppercased().replacing("-", with: "_")
            let error = #expect(throws: SettingsError.self) {
                try read([slip: "1"], [variable: "1"], file: "{\"\(slip)\": 1}")
            }
            let lines = (error?.description ?? "").split(separator: "\n")
            #expect(lines.filter { $0.contains("did you mean \(key)?") }.count >= 2, "\(key) in \(lines)")
            #expect(lines.contains { $0.contains(variable) && $0.contains("did you mean GROOT_GATEWAY_") })
        }
    }

    @Test
    func variablesOfOtherProcessesAreTheirs() throws {
        let others = [
            "GROOT_ONNXRUNTIME": "x", "GROOT_AGENT_ARGS": "x", "GROOT_WORKER_ARGS": "x", "GROOT_SIM_ARGS": "x",
            "GROOT_ADMIN_HOSTS": "x", "GROOT_CONFIGURATION": "x", "GROOT_GATEWAY_ARGS": "x", "GROOT_GATEWAY_CONFIG": "",
        ]
        _ = try read([:], others)
        let error = #expect(throws: SettingsError.self) { try read([:], ["GROOT_GATWAY_LISTEN": "1.2.3.4"]) }
        #expect(error?.description.contains("did you mean GROOT_GATEWAY_LISTEN?") == true)
    }

    @Test
    func aKeyIsThereOnce() {
        let error = #expect(throws: SettingsError.self) {
            try read(file: #"{"policy": "p2c", "listen": "a:1", "policy": "p2c"}"#)
        }
        #expect(error?.problems == ["gateway.json: policy: is there more than once"])
    }

    /// Bad usage is 64; where only files are wrong, 65.
    @Test
    func whatIsWrongDecidesTheExitCode() {
        let none = "/no/such/file.pem"
        let files = ["tls-certificate": none, "tls-key": none]
        #expect((#expect(throws: SettingsError.self) { try read(files) })?.exit == .badInput)
        #expect((#expect(throws: SettingsError.self) { try read(["tls-key": none]) })?.exit == .usage)
        let both = files.merging(["policy": "best"]) { $1 }
        #expect((#expect(throws: SettingsError.self) { try read(both) })?.exit == .usage)
    }

    @Test
    func everyDefaultReadsBack() throws {
        let defaults = GatewaySettings()
        for setting in Setting.all {
            var settings = GatewaySettings()
            try setting.read(setting.show(defaults), &settings)
            #expect(setting.show(settings) == setting.show(defaults), "\(setting.key)")
        }
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
    }

    @Test
    func passwordsAreMasked() throws {
        let settings = try read(["database": "postgres://groot:secret@db/groot"])
        let shown = Setting.all.first { $0.key == "database" }?.show(settings)
        #expect(shown == "postgres://groot:***@db/groot")
    }

    @Test
    func duplicateWorkersAndUnknownFlagsAreUsageErrors() {
        for arguments in [
            ["--workers", "w1,w1:8090"], ["--wrokers", "w1"], ["--set", "nonsense"], ["--policy", "best"],
        ] {
            let error = #expect(throws: (any Error).self, "\(arguments)") { try Main.parseAsRoot(arguments) }
            if let error { #expect(Main.exitCode(for: error).rawValue == ProcessExit.usage.rawValue) }
        }
        #expect(throws: Never.self) { try Main.parseAsRoot(["--workers", "w1,w2"]) }
        #expect(throws: Never.self) { try Main.parseAsRoot([]) }
    }

    /// The documents list exactly the keys that there are.
    @Test(arguments: ["docs/gateway-configuration.md", "docs/gateway-configuration.zh-CN.md"])
    func theDocumentsAreInStep(_ name: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: name), encoding: .utf8)
        for setting in Setting.all {
            let value = setting.show(GatewaySettings())
            let row = "| `\(setting.key)` | \(value.isEmpty ? "-" : "`\(value)`") |"
            #expect(text.contains(row), "\(name) lacks \(row); see check-config --list")
        }
        let rows = text.split(separator: "\n").count { $0.hasPrefix("| `") }
        #expect(rows == Setting.all.count)
    }

    @Test
    func theExampleFileIsValid() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "deploy/config/gateway.example.json"), encoding: .utf8)
        #expect(try read(file: text).directory.sources.count == 2)
    }
}
