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
