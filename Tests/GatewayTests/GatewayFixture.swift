import GrootCore
import HTTP2
import Logging
import NIOCore
import Synchronization

@testable import Gateway

/// A gateway in this process with scripted workers behind it, and a robot in front.
final class GatewayFixture: Sendable {
    let dataPlane: DataPlane
    let registry = MetricsRegistry()
    let address: Endpoint
    let reports = Reports()
    /// The robot in front.
    let robot: RobotConnection

    final class Reports: Sendable {
        private let list = Mutex<[WorkerReport]>([])
        var all: [WorkerReport] { list.withLock { $0 } }
        func add(_ report: WorkerReport) { list.withLock { $0.append(report) } }
    }

    init(
        workers: [Endpoint],
        control: Endpoint = .tcp(host: "127.0.0.1", port: 1),
        client tls: TLSContextSource? = nil,
        logger given: Logger? = nil,
        _ change: (inout GatewayConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = GatewayConfiguration()
        configuration.listen = .tcp(host: "127.0.0.1", port: 0)
        change(&configuration)
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        let logger = given ?? quiet
        let reports = reports
        dataPlane = await DataPlane(
            configuration: configuration,
            control: control,
            registry: registry,
            logger: logger
        ) { report in
            reports.add(report)
        }
        for worker in workers { _ = dataPlane.add(worker, source: .flag) }
        let address = try await dataPlane.start()
        self.address = address
        robot = try await RobotConnection(to: address, tls: tls)
    }

    /// Waits until so many workers are up and have described themselves.
    func up(_ count: Int) async -> Bool {
        await eventually { self.dataPlane.workerStatuses.count { $0.isUp && $0.checkpoints != nil } == count }
    }

    func infer(
        _ size: Int = 100,
        robot: String? = "r1",
        extra: [(String, String)] = [],
        path: String = "/groot.v1.Inference/Infer",
        timeout: String? = "5S",
        contentType: String = "application/grpc",
        body: ByteBuffer? = nil
    ) async throws -> HTTP2Response {
        try await self.robot.infer(
            size,
            robot: robot,
            extra: extra,
            path: path,
            timeout: timeout,
            contentType: contentType,
            body: body
        )
    }

    func metric(_ line: String) -> String? {
        registry.render().split(separator: "\n").first { $0.hasPrefix(line + " ") }.map {
            String($0.dropFirst(line.count + 1))
        }
    }

    func stop() async throws {
        try await robot.close()
        await dataPlane.stop()
    }
}

/// Waits for a condition; false when it does not come true within ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    let limit = MonotonicInstant.now() + .seconds(10)
    while MonotonicInstant.now() < limit {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}

extension HTTP2Response {
    /// The message without its frame.
    var text: String {
        body.readableBytes >= 5 ? String(decoding: body.readableBytesView.dropFirst(5), as: UTF8.self) : ""
    }
    /// From the trailers, or from the headers of a Trailers-Only response.
    var grpcStatus: String? { trailers["grpc-status"] ?? headers["grpc-status"] }
    var grpcMessage: String { trailers["grpc-message"] ?? headers["grpc-message"] ?? "" }
}
