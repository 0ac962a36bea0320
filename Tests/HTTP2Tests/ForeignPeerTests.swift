import GrootCore
import HTTP2
import Subprocess
import Testing

/// curl, nghttp and h2load against the server. Skipped visibly where they are not installed.
@Suite(.timeLimit(.minutes(1)))
struct ForeignPeerTests {
    @Test
    func curlUploads() async throws {
        try await withServer { base in
            let output = try await output(
                "curl",
                ["-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-d", "hello", base + "/echo"]
            )
            #expect(output == "hello2 200")
        }
    }

    @Test
    func nghttpSeesTrailers() async throws {
        try await withServer { base in
            let output = try await output("nghttp", ["-v", "-H", ":method: POST", base + "/echo"])
            #expect(output.contains("x-end: yes"), "\(output)")
        }
    }

    @Test
    func h2loadLosesNothing() async throws {
        try await withServer { base in
            let output = try await output("h2load", ["-n", "2000", "-c", "4", "-m", "32", base + "/early"])
            #expect(
                output.contains("2000 total, 2000 started, 2000 done, 0 succeeded, 2000 failed, 0 errored"),
                "\(output)"
            )
        }
    }

    private func withServer(_ body: (String) async throws -> Void) async throws {
        let echo = EchoServer()
        let endpoint = try await echo.start()
        try await body("http://\(endpoint)")
        try await echo.stop()
    }
}

/// What a command printed on both channels.
func output(_ tool: String, _ arguments: [String]) async throws -> String {
    let result = try await Subprocess.run(
        .name(tool),
        arguments: Arguments(arguments),
        output: .string(limit: 1 << 20),
        error: .string(limit: 1 << 16)
    )
    return result.standardOutput + result.standardError
}
