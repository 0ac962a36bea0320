import ArgumentParser
import Foundation
import GrootCore

/// `groot-gateway check-config`: says what is wrong with flags, environment and file, or what holds.
struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract:
            "Check flags, environment and file without serving; prints what holds. Exit code 64 when it would not start."
    )

    @OptionGroup var flags: GatewayFlags

    @Flag(help: "Print every key with its default and meaning instead.")
    var list = false

    func run() throws {
        if list {
            print(Self.table(), terminator: "")
            return
        }
        // Validated when it was parsed.
        let settings = try flags.settings()
        for setting in Setting.all { print("\(setting.key) = \(setting.show(settings))") }
    }

    /// The table of docs/gateway-configuration.md.
    static func table() -> String {
        let defaults = GatewaySettings()
        var text = "| key | default | reload | meaning |\n|---|---|---|---|\n"
        for setting in Setting.all {
            let shown = setting.show(defaults)
            text +=
                "| `\(setting.key)` | \(shown.isEmpty ? "-" : "`\(shown)`") | \(setting.isLive ? "yes" : "no") | \(setting.text) |\n"
        }
        return text
    }
}
