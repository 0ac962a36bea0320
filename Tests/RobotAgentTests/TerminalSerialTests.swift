import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// The built agent in a terminal: what an operator sees, and what becomes of what an operator types.
@Suite(.serialized)
struct TerminalSerialTests {
    /// What stands on the lines of the terminal when carriage returns and erasures are carried out.
    private static func screen(_ data: Data) -> [String] {
        var lines = [""]
        var text = Substring(String(decoding: data, as: UTF8.self).replacing("\r\n", with: "\n"))
        while let first = text.unicodeScalars.first {
            if text.hasPrefix("\r\u{1B}[K") {
                lines[lines.count - 1] = ""
                text = text.dropFirst(4)
            } else if text.hasPrefix("\u{1B}[?7") {
                text = text.dropFirst(5)
            } else if first == "\n" {
                lines.append("")
                text = text.dropFirst()
            } else {
                lines[lines.count - 1].unicodeScalars.append(first)
                text = Substring(text.unicodeScalars.dropFirst())
            }
        }
        return lines
    }

    @Test(.timeLimit(.minutes(2)), arguments: [80, 200])
    func theStatusLineIsNeverTorn(columns: Int) async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        // Something to warn about while the line refreshes.
        fleet.failEverySecondInference = true
        try await withGateway(fleet) { gateway in
            try await withRobot { _, master in
                let record = directory.url.appending(path: "terminal")
                let terminal = try ChildProcess(
                    "terminal",
                    executable: URL(filePath: "/usr/bin/python3"),
                    arguments: [
                        AllocationSerialTests.peers.appending(path: "in_terminal.py").path, record.path, "\(columns)",
                        "chunks 2", "n box slipped\u{1B}[D\u{1B}[D from claw", "chunks 4", "s",
                        "--", AllocationSerialTests.binaries.appending(path: "groot-agent").path,
                        "--robot", "r1", "--seed", "7", "--gateway", "127.0.0.1:\(gateway)", "--json",
                        "--ros-master", "http://127.0.0.1:\(master)", "--episode-timeout", "60s", "--no-realtime",
                        "--state-dir", directory.url.appending(path: "state").path,
                    ],
                    folder: directory.url
                )
                try await eventually(within: .seconds(60), "the agent ends: \(terminal.lastLines())") {
                    terminal.exitCode != nil
                }
                let data = try Data(contentsOf: record)
                let screen = Self.screen(data)
                #expect(terminal.exitCode == 0, "\(screen.suffix(12))")
                // Typed keys are echoed by the terminal, behind the status line.
                let status =
                    /[a-zA-Z]+  \[[#.]{20}\] [0-9]+ ms  chunks [0-9]+  latency .+  starved [0-9]+  failed [0-9]+(n box.*|s)?/
                let log = /[0-9:]{8}\.[0-9]{3} (info|notice|warning) +[a-z_]+: .+/
                let report = /\{"(border|checkpoint).*\}/
                for line in screen where !line.isEmpty {
                    #expect(
                        line.wholeMatch(of: status) != nil || line.wholeMatch(of: log) != nil
                            || line.wholeMatch(of: report) != nil,
                        "\(line.debugDescription)"
                    )
                }
                let refreshes = String(decoding: data, as: UTF8.self).components(separatedBy: "chunks ").count
                #expect(refreshes > 20, "the line refreshes ten times a second: \(refreshes)")
                #expect(screen.contains { $0.contains("an inference failed") }, "there were log lines meanwhile")
                #expect(screen.contains { $0.wholeMatch(of: report) != nil })
                let finished = try #require(fleet.finished.first)
                #expect(finished.outcome == .success)
                #expect(finished.notes == "box slipped from claw")
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func elsewhereLogsAreJSON() async throws {
        let directory = try TemporaryDirectory()
        let agent = try ChildProcess(
            "agent",
            executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
            arguments: [
                "--robot", "r1", "--ros-master", "http://127.0.0.1:9", "--ready-timeout", "500ms",
                "--state-dir", directory.url.appending(path: "state").path,
            ],
            folder: directory.url
        )
        try await eventually(within: .seconds(30), "the agent ends") { agent.exitCode != nil }
        #expect(agent.exitCode == ProcessExit.unavailable.rawValue)
        let lines = try agent.logText().split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines {
            #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: String], "\(line)")
        }
    }
}
