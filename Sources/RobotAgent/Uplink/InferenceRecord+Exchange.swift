import GRPCCore
import GrootAPI
import GrootCore

/// What telemetry keeps of one exchange, filled in as it goes on.
extension Groot_V1_InferenceRecord {
    init(of request: Groot_V1_InferRequest, imageBytes: Int, runway: Duration) {
        self.init()
        requestID = request.requestID
        observationIndex = request.observationIndex
        runwayAtSendNs = runway.nanoseconds
        requestBytes = UInt64(imageBytes + 4 * request.stateValues.count)
        prefixRows = request.prefix.rows
        frozenRows = request.prefix.frozenRows
    }

    mutating func answered(_ answer: GatewayClient.Answer, roundTrip: Duration) {
        worker = answer.worker
        attempts = answer.attempts
        hedged = answer.wasHedged
        roundTripNs = UInt64(roundTrip.nanoseconds)
        timings = answer.response.timings
        batchSize = answer.response.batchSize
        rows = answer.response.rows
        // What answered, which need not be what the episode began with.
        if !answer.response.checkpoint.isEmpty { checkpoint = answer.response.checkpoint }
        checkpointSha256 = answer.response.checkpointSha256
    }

    mutating func failed(_ error: any Error) {
        let failure = error as? RPCError
        status = failure.map { StatusName.of($0.code) } ?? "INTERNAL"
        // A worker writes what it likes.
        message = PeopleText.line(failure?.message ?? "\(error)")
    }
}
