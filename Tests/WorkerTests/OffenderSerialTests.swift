import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootTesting
import Synchronization
import Testing

/// One bad robot beside honest ones, through a real gateway and two real workers: the honest ones lose nothing.
///
/// Real ONNX Runtime; the model fails the whole batch in which a state is above 100.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct OffenderSerialTests {
    private typealias Inference = Groot_V1_Inference.Client<HTTP2ClientTransport.Posix>

    private struct Tally {
        var answers = 0
        var failures: [String] = []
    }

    private static let honest = 4
    private static let answersEach = 60

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-offender") }

    private func start(_ name: String, _ executable: String, _ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: executable),
            arguments: arguments,
            environment: TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
            folder: folder.url
        )
    }

    /// What the bad robot sends, again and again.
    private static let offences: [@Sendable (inout Groot_V1_InferRequest) -> Void] = [
        {
            for image in $0.images.indices {
                $0.images[image].width = .max
                $0.images[image].height = .max
            }
        },
        {
            $0.images[0].encoding = .jpeg
            $0.images[0].width = .max
            $0.images[0].height = .max
        },
        { $0.stateValues = [0, 200, 0] },
        { $0.checkpoint = String(repeating: "c", count: 15_000) },
        { $0.checkpoint = String(repeating: "c", count: 200_000) },
        {
            $0.stateNames = (0..<2000).map { "joint_\($0)" }
            $0.stateValues = Array(repeating: 0, count: 2000)
        },
        { $0.images = Array(repeating: Groot_V1_Image(), count: 100_000) },
        { $0.images[0].key = String(repeating: "\u{1B}[31m", count: 50_000) },
        { $0.stateValues = [.nan, 0, 0] },
    ]

    @Test
    func `a robot that poisons its batches and claims anything costs nobody else an answer`() async throws {
        let ports = try FreePorts.take(6)
        let workers = try (0..<2).map { number in
            try start(
                "w\(number)",
                "groot-worker",
                [
                    "--checkpoint", TestRuntime.fixture("poisoned"), "--max-batch", "4", "--name", "w\(number)",
                    "--listen", "127.0.0.1:\(ports[number])", "--admin", "127.0.0.1:\(ports[2 + number])",
                ]
            )
        }
        let gateway = try start(
            "gateway",
            "groot-gateway",
            [
                "serve", "--workers", "127.0.0.1:\(ports[0]),127.0.0.1:\(ports[1])", "--listen",
                "127.0.0.1:\(ports[4])",
                "--admin", "127.0.0.1:\(ports[5])", "--state-dir", folder.url.appending(path: "gateway").path,
            ]
        )
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: ports[4]),
            transportSecurity: .plaintext
        )
        try await withGRPCClient(transport: transport) { client in
            let inference = Inference(wrapping: client)
            try await eventually(within: .seconds(30), "the fleet serves: \(gateway.lastLines())") {
                // Until then, every refusal is one.
                (try? await Self.ask(inference, "probe", 0) { _ in }) != nil
            }
            let isOver = Mutex(false)
            let offended = LatestValue<UInt64>()
            let offender = Task {
                var refused = 0
                var sent: UInt64 = 0
                while !isOver.withLock({ $0 }) {
                    for offence in Self.offences {
                        sent += 1
                        offended.store(sent)
                        do {
                            try await Self.ask(inference, "bad", sent, offence)
                        } catch {
                            refused += 1
                        }
                    }
                }
                return (sent: sent, refused: refused)
            }
            let tallies = await withTaskGroup(of: Tally.self) { group in
                for robot in 0..<Self.honest {
                    group.addTask {
                        var tally = Tally()
                        var observation: UInt64 = 0
                        // Until each offence was met twice.
                        while observation < Self.answersEach
                            || (offended.peek() ?? 0) <= 2 * UInt64(Self.offences.count)
                        {
                            do {
                                try await Self.ask(inference, "r\(robot)", observation) { _ in }
                                tally.answers += 1
                            } catch {
                                tally.failures.append("\(error)")
                            }
                            observation += 1
                        }
                        return tally
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            isOver.withLock { $0 = true }
            let bad = await offender.value
            #expect(tallies.count == Self.honest && tallies.allSatisfy { $0.answers >= Self.answersEach })
            #expect(tallies.flatMap(\.failures) == [])
            #expect(bad.sent > 2 * UInt64(Self.offences.count) && bad.refused == Int(bad.sent))
        }
        for worker in workers {
            #expect(worker.isRunning, "\(worker.lastLines())")
        }
        let log = try gateway.logText()
        #expect(!log.contains("is down"), "a connection was lost: \(gateway.lastLines())")
    }

    private static func ask(
        _ inference: Inference,
        _ robot: String,
        _ observation: UInt64,
        _ change: (inout Groot_V1_InferRequest) -> Void
    ) async throws {
        var request = Groot_V1_InferRequest.tiny(robot: robot)
        request.observationIndex = observation
        change(&request)
        var options = CallOptions.defaults
        options.timeout = .seconds(20)
        let metadata: Metadata = [
            "groot-robot": "\(robot)", "groot-observation": "\(observation)", "groot-runway-ms": "2000",
        ]
        let answer = try await inference.infer(request, metadata: metadata, options: options)
        #expect(answer.values.count == 12)
    }
}
