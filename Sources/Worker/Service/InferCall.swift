import GRPCCore
import GrootAPI
import GrootCore

/// One `Infer` call as it arrived: message and metadata, read and checked together.
struct InferCall: Sendable {
    var message: Groot_V1_InferRequest
    /// The robot that speaks (see `Speaker`).
    var robot: String
    var arrived: MonotonicInstant
    var decode: Duration
    var deadline: MonotonicInstant?
    /// Motion time that the robot has left; nil when it did not say.
    var runway: Duration?
    /// Between two rows of a chunk as the robot executes them; nil when it did not say.
    var period: Duration?

    /// - Throws: `badRequest` or `notTheSpeaker` for what the caller did wrong, `cancelled` when it went away.
    init(_ stream: StreamingServerRequest<TimedRequest>, arrived: MonotonicInstant) async throws(WorkerError) {
        let request: TimedRequest
        do {
            request = try await ServerRequest(stream: stream).message
        } catch let error as RPCError where error.code == .internalError {
            // Our own transport's words for no message, or more than one.
            throw WorkerError(.badRequest, "Infer takes exactly one message: \(error.message)")
        } catch {
            throw WorkerError(.cancelled, "The request did not arrive whole: \(error)", cause: error)
        }
        let message = try request.message.get()
        let metadata = stream.metadata
        robot = try Speaker.verified(in: metadata, body: message.robot)
        // Its head was checked (`CheckedHeadTransport`).
        let timeout = metadata[stringValues: GRPCTimeout.key].first { _ in true }
        deadline = timeout.flatMap(GRPCTimeout.parse).map { arrived + min($0, GRPCTimeout.longest) }
        runway = try Self.milliseconds(MetadataKey.runway, 0...3_600_000, in: metadata)
        period = try Self.milliseconds(MetadataKey.actionPeriod, 1...60_000, in: metadata)
        self.message = message
        self.arrived = arrived
        decode = request.decode
    }

    private static func milliseconds(
        _ key: String,
        _ allowed: ClosedRange<Int64>,
        in metadata: Metadata
    ) throws(WorkerError) -> Duration? {
        guard let text = metadata[stringValues: key].first(where: { _ in true }) else { return nil }
        guard let milliseconds = Int64(text), allowed.contains(milliseconds) else {
            throw WorkerError(
                .badRequest,
                "\(key) is \"\(text)\", expected whole milliseconds from \(allowed.lowerBound) to \(allowed.upperBound)."
            )
        }
        return .milliseconds(milliseconds)
    }
}
