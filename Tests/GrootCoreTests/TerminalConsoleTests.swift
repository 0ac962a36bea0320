import Foundation
import GrootTesting
import Logging
import Testing

@testable import GrootCore

struct TerminalConsoleTests {
    /// Both streams of a terminal, which show what is written in the order in which it is written.
    private struct Terminal {
        let console: TerminalConsole
        private let folder: TemporaryDirectory
        private let file: URL

        init() throws {
            folder = try TemporaryDirectory()
            file = folder.url.appending(path: "terminal")
            try Data().write(to: file)
            console = TerminalConsole(out: try Self.appending(to: file), err: try Self.appending(to: file))
        }

        private static func appending(to file: URL) throws -> FileHandle {
            let descriptor = unsafe open(file.path, O_WRONLY | O_APPEND)
            try #require(descriptor >= 0)
            return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        }

        /// What stands on the screen: carriage return and erase are carried out, wrapping is none.
        func screen() throws -> [String] {
            var lines = [""]
            var text = Substring(String(decoding: try Data(contentsOf: file), as: UTF8.self))
            while let first = text.unicodeScalars.first {
                if text.hasPrefix("\r\u{1B}[K") {
                    lines[lines.count - 1] = ""
                    text = text.dropFirst("\r\u{1B}[K".count)
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
    }

    @Test func aLineTakesTheStatusAwayAndPutsItBackBelow() throws {
        let terminal = try Terminal()
        terminal.console.log("first", isTerminal: true)
        terminal.console.show(status: "following [####]")
        terminal.console.show(status: "following [###.]")
        terminal.console.log("second", isTerminal: true)
        terminal.console.say("third")
        #expect(try terminal.screen() == ["first", "second", "third", "following [###.]"])
        terminal.console.leaveStatus()
        terminal.console.log("fourth", isTerminal: true)
        #expect(try terminal.screen() == ["first", "second", "third", "following [###.]", "fourth", ""])
    }

    /// Log lines that go to a file know nothing of a status line.
    @Test func aLogElsewhereHasNoControlCharacters() throws {
        let terminal = try Terminal()
        terminal.console.show(status: "following")
        terminal.console.log("{}", isTerminal: false)
        #expect(try terminal.screen().first == "following{}")
    }

    @Test func threadsNeverTearALine() async throws {
        let terminal = try Terminal()
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for index in 0..<250 {
                        switch writer {
                        case 0: terminal.console.show(status: "status \(index)")
                        case 1: terminal.console.say("said \(index)")
                        default: terminal.console.log("log \(writer) \(index)", isTerminal: true)
                        }
                    }
                }
            }
        }
        let screen = try terminal.screen()
        #expect(screen.count == 751)
        #expect(screen.last == "status 249")
        let whole = /(said|log [23]) [0-9]+/
        #expect(screen.dropLast().allSatisfy { $0.wholeMatch(of: whole) != nil })
        for writer in ["said", "log 2", "log 3"] {
            let own = screen.filter { $0.hasPrefix("\(writer) ") }
            #expect(own == (0..<250).map { "\(writer) \($0)" }, "in order")
        }
    }

    @Test func linesForPeople() {
        func line(_ message: String, _ metadata: [String: String] = [:]) -> String {
            HumanLogHandler.line(
                time: "04:28:01.123",
                level: .warning,
                label: "agent",
                message: message,
                metadata: metadata
            )
        }
        #expect(line("hello") == "04:28:01.123 warning  agent: hello")
        #expect(
            line("m", ["b": "two words", "a": "1", "c": ""])
                == #"04:28:01.123 warning  agent: m a=1 b="two words" c="""#
        )
        #expect(line("one\ntwo") == "04:28:01.123 warning  agent: one\n             two")
        let hostile = line("\u{1B}[2Jgone\r\u{7}", ["error": "\u{1B}[31m red\nnext"])
        #expect(hostile.unicodeScalars.allSatisfy { $0.value >= 0x20 })
        #expect(hostile.contains(#"\u{1B}[2Jgone\u{D}\u{7}"#) && hostile.contains(#"red\nnext"#))
    }
}
