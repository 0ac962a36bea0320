import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import GrootAdmin

struct AdminServerTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func server(port: Int, host: String = "127.0.0.1") -> AdminServer {
        AdminServer(host: host, port: port, metrics: MetricsRegistry(), logger: Self.logger) { nil }
    }

    /// Status of one request, as curl sees it.
    private func status(_ port: Int, _ path: String, _ fields: String...) throws -> String {
        let curl = Process()
        curl.executableURL = URL(filePath: "/usr/bin/curl")
        curl.arguments =
            ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20", "http://127.0.0.1:\(port)\(path)"]
            + fields.flatMap { ["-H", $0] }
        let pipe = Pipe()
        curl.standardOutput = pipe
        try curl.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        curl.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }

    @Test(.timeLimit(.minutes(1)))
    func theGateStandsBeforeEveryPage() async throws {
        let port = try FreePorts.take(1)[0]
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            try await server(port: port).start(in: &group)
            for path in ["/livez", "/readyz", "/metrics"] {
                #expect(try status(port, path) == "200")
                #expect(try status(port, path, "Host: attacker.example") == "421")
                #expect(try status(port, path, "Origin: http://attacker.example") == "403")
                #expect(try status(port, path, "Origin: http://127.0.0.1:\(port)") == "200")
            }
            #expect(try status(port, "/nothing", "Host: attacker.example") == "421")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aTakenOrForeignAddressIsAListenError() async throws {
        let port = try FreePorts.take(1)[0]
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            try await server(port: port).start(in: &group)
            await #expect(throws: ListenError.self) { try await server(port: port).run() }
            // TEST-NET-1 is no address of any machine.
            let error = await #expect(throws: ListenError.self) { try await server(port: 1, host: "192.0.2.1").run() }
            #expect("\(try #require(error))".contains("192.0.2.1:1"))
            await #expect(throws: ListenError.self) { try await server(port: 1, host: "no-such-host.invalid").run() }
        }
    }
}
