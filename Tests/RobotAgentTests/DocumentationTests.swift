import ArgumentParser
import Foundation
import GrootCore
import Testing

@testable import RobotAgent

/// Pages for people and `--help` say the same.
struct DocumentationTests {
    private static let docs = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs")

    @Test(arguments: ["input-contract.md", "input-contract.zh-CN.md"])
    func everyFindingIsOnThePageWithItsExitCode(page: String) throws {
        let text = try String(contentsOf: Self.docs.appending(path: page), encoding: .utf8)
        for kind in InputFinding.Kind.allCases {
            let row = try #require(text.split(separator: "\n").first { $0.hasPrefix("| `\(kind.rawValue)` |") })
            let exit = AgentError(InputFinding(kind, "", "", "").refusal, "").exit.rawValue
            #expect(row.contains(kind == .superseded ? "| - |" : "| \(exit) |"), "\(row)")
        }
        for kind in InputNotice.Kind.allCases { #expect(text.contains("`\(kind.rawValue)`")) }
    }

    @Test(arguments: ["agent.md", "agent.zh-CN.md"])
    func everyFlagIsOnThePage(page: String) throws {
        let text = try String(contentsOf: Self.docs.appending(path: page), encoding: .utf8)
        let help =
            AgentCommand.helpMessage(for: RunCommand.self, includeHidden: true)
            + AgentCommand.helpMessage(for: CompareCommand.self, includeHidden: true)
            + AgentCommand.helpMessage(for: ReplayCommand.self, includeHidden: true)
        let flags = Set(help.matches(of: #/--[a-z][a-z-]+/#).map { String($0.output) })
        #expect(flags.count > 40)
        let missing = flags.subtracting(["--help", "--help-hidden"]).filter { flag in
            !text.matches(of: #/--[a-z-]+/#).contains { $0.output == flag }
        }
        #expect(missing.isEmpty, "\(page) does not say what \(missing.sorted()) do")
        let table = text.split(separator: "\n").filter { $0.hasPrefix("| `--") }
        let known = Set(
            table.flatMap { line in
                line.split(separator: "|")[0].matches(of: #/`(--[a-z-]+)/#).map { String($0.output.1) }
            }
        )
        let unknown = known.filter { !help.contains($0) }
        #expect(unknown.isEmpty, "\(page) lists flags that do not exist: \(unknown.sorted())")
    }
}
