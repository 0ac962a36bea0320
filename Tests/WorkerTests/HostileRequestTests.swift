import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootImaging
import GrootTesting
import SwiftProtobuf
import Testing

@testable import Worker

/// Requests that claim anything: each is refused in a sentence that a header carries, and the next honest one answered.
@Suite(.timeLimit(.minutes(5)))
struct HostileRequestTests {
    private typealias Change = @Sendable (inout Groot_V1_InferRequest) -> Void

    private static let load: @Sendable () async throws(WorkerError) -> [any PolicyRuntime] = { [ScriptedRunner()] }
    private static let largest = UInt32.max
    private static let sizes: [(UInt32, UInt32)] = [
        (largest, largest), (largest, 1), (1, largest), (1 << 31, 1 << 31), (1 << 16, 1 << 16), (1 << 31, 2), (0, 0),
        (0, largest), (3841, 8641), (1 << 20, 1 << 12),
    ]

    private static let images: [(String, Change)] = sizes.flatMap { width, height in
        [Groot_V1_ImageEncoding.rgb8, .jpeg, .unspecified, .UNRECOGNIZED(9)].map { encoding in
            let change: Change = {
                $0.images[0].width = width
                $0.images[0].height = height
                $0.images[0].encoding = encoding
            }
            return ("an image of \(width)x\(height) as \(encoding)", change)
        }
    }

    private static let texts: [(String, Change)] = [
        ("2000 state names", { many(&$0, 2000) }),
        ("100,000 state names", { many(&$0, 100_000) }),
        ("a camera key of 200 kB", { $0.images[0].key = String(repeating: "k", count: 200_000) }),
        ("a state name of 200 kB", { $0.stateNames[0] = String(repeating: "n", count: 200_000) }),
        ("a state name in colour", { $0.stateNames[0] = "\u{1B}[31mleft\r\nname" }),
        ("a robot of 200 kB", { $0.robot = String(repeating: "r", count: 200_000) }),
        ("a request id of 200 kB", { $0.requestID = String(repeating: "i", count: 200_000) }),
        ("a task of 200 kB", { $0.task = String(repeating: "t", count: 200_000) }),
        ("a checkpoint of 15 kB", { $0.checkpoint = String(repeating: "c", count: 15_000) }),
        ("a checkpoint of 62 kB", { $0.checkpoint = String(repeating: "绿", count: 21_000) }),
        ("a checkpoint of 200 kB", { $0.checkpoint = String(repeating: "%", count: 200_000) }),
        ("a checkpoint with an escape", { $0.checkpoint = "\u{1B}]0;title\u{7}" }),
    ]

    private static let numbers: [(String, Change)] = [
        ("100,000 empty images", { $0.images = Array(repeating: Groot_V1_Image(), count: 100_000) }),
        ("no values", { $0.stateValues = [] }),
        ("a million values", { $0.stateValues = Array(repeating: 0, count: 1_000_000) }),
        ("infinite values", { $0.stateValues = [.infinity, -.infinity] }),
        ("all rows", { $0.maxRows = largest }),
        ("a prefix of all rows", { $0.prefix = .with { ($0.rows, $0.frozenRows) = (largest, largest) } }),
        ("a prefix of values", { $0.prefix.values = Array(repeating: 1, count: 100_000) }),
    ]

    private static let changes = images + texts + numbers

    private static func many(_ request: inout Groot_V1_InferRequest, _ count: Int) {
        request.stateNames = (0..<count).map { "joint_\($0)" }
        request.stateValues = Array(repeating: 0, count: count)
    }

    @Test
    func `whatever a request claims, it is refused in 1 kB and the worker serves on`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            for (what, change) in Self.changes {
                var request = Groot_V1_InferRequest.scripted(robot: "r2")
                change(&request)
                let error = await #expect(throws: RPCError.self, "\(what)") {
                    try await worker.inference.infer(request)
                }
                #expect([.invalidArgument, .notFound].contains(error?.code), "\(what): \(error.map { "\($0)" } ?? "")")
                let message = error?.message ?? ""
                #expect(!message.isEmpty && message == ReadableText.clipped(message), "\(what): \(message)")
                #expect(try await worker.inference.infer(.scripted(robot: "r1", left: 3)).values.first == 3, "\(what)")
            }
            #expect(worker.metric("groot_worker_requests_total{outcome=\"answered\"}") == "\(Self.changes.count)")
        }
    }

    @Test
    func `two lists of names say what is left out`() throws {
        var request = Groot_V1_InferRequest.scripted(robot: "r1")
        Self.many(&request, 2000)
        let error = #expect(throws: WorkerError.self) { try PolicyInput(request, for: ScriptedRunner().description) }
        let expected = /Expected: \["left", "right"\]\. Got: \["joint_0", .*… and \d+ more\]\./
        #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    }

    /// The library itself parses up to seven digits; one that is negative ends the process.
    @Test
    func `a deadline of any length or form ends nothing but its call`() async throws {
        let answers: [(String, RPCError.Code?)] = [
            ("99999999H", nil), ("9999999H", nil), ("9999999M", nil), ("86401S", nil), ("2H", nil),
            ("1n", .deadlineExceeded), ("0S", .deadlineExceeded), ("H", .invalidArgument), ("", .invalidArgument),
            ("-1S", .invalidArgument), ("-9999999H", .invalidArgument), ("+1S", .invalidArgument),
            ("1s", .invalidArgument),
            ("1.5S", .invalidArgument), ("999999999S", .invalidArgument), ("1S,2S", .invalidArgument),
        ]
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            for (timeout, expected) in answers {
                var code: RPCError.Code?
                do {
                    let metadata: Metadata = ["grpc-timeout": "\(timeout)"]
                    _ = try await worker.inference.infer(.scripted(robot: "r2"), metadata: metadata)
                } catch let error as RPCError {
                    code = error.code
                }
                #expect(code == expected, "\(timeout)")
                #expect(try await worker.inference.infer(.scripted(robot: "r1", left: 2)).values.first == 2)
            }
        }
    }

    @Test
    func `the body's shape is judged before it is decoded`() throws {
        func problem(_ bytes: [UInt8]) -> String? { InferRequestShape.problem(count: bytes.count) { bytes[$0] } }
        #expect(problem([]) == nil)
        #expect(problem(try Groot_V1_InferRequest.tiny().serializedBytes()) == nil)
        // Eight million images in 16 MB.
        #expect(
            problem(Array(repeating: [0x42, 0], count: 65).flatMap(\.self))?.contains("more than 64 images") == true
        )
        #expect(
            problem(Array(repeating: [0x4A, 0], count: 4097).flatMap(\.self))?.contains("4096 state names") == true
        )
        #expect(problem(Array(repeating: [0x78, 0], count: 20_000).flatMap(\.self))?.contains("16384 fields") == true)
        for damaged: [UInt8] in [[0x42], [0x42, 0xFF], [0x42, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x07], [0x03], [0x00]] {
            #expect(problem(damaged)?.contains("is damaged at byte") == true, "\(damaged)")
        }
    }

    /// What the gateway may send, and the transport takes: 16 kB of headers.
    @Test
    func `headers up to what the transport takes are accepted`() async throws {
        try await WorkerHarness.run(load: Self.load) { worker in
            try await serving(worker)
            var metadata = Metadata()
            for index in 0..<14 { metadata.addString(String(repeating: "h", count: 1000), forKey: "extra-\(index)") }
            #expect(
                try await worker.inference.infer(.scripted(robot: "r1", left: 7), metadata: metadata).values.first == 7
            )
        }
    }

    @Test
    func `all images of a request together are bounded`() throws {
        var policy = ScriptedRunner().description
        policy.images = (0..<3).map { .init(key: "image\($0)", width: 2, height: 1) }
        var request = Groot_V1_InferRequest.scripted(robot: "r1")
        request.images = policy.images.map { input in
            .with {
                $0.key = input.key
                $0.encoding = .jpeg
                $0.width = 4096
                $0.height = 4096
            }
        }
        let error = #expect(throws: WorkerError.self) { try PolicyInput(request, for: policy) }
        // Two of them would fit; known before any of them is decoded.
        #expect(error?.message.contains("Image image1 is 4096x4096; all images of a request") == true)
    }
}
