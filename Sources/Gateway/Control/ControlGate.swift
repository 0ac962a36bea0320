import GRPCCore
import GrootAPI
import GrootCore
import Synchronization

/// Lets calls into the control plane, each on its identity's share.
///
/// Any thread; the decisions are `ControlAdmission`'s, behind a lock.
final class ControlGate: ServerInterceptor {
    private let admission: Mutex<ControlAdmission>
    private let instruments: ControlInstruments

    init(_ budgets: ControlBudgets, _ instruments: ControlInstruments) {
        admission = Mutex(ControlAdmission(budgets))
        self.instruments = instruments
    }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @concurrent @Sendable (StreamingServerRequest<Input>, ServerContext) async throws ->
            StreamingServerResponse<
                Output
            >
    ) async throws -> StreamingServerResponse<Output> {
        // A method that the control plane does not know is answered without its gate.
        guard let call = ControlCall(rawValue: context.descriptor.method) else {
            return try await next(request, context)
        }
        let kind = ControlAdmission.Kind(call)
        let identity = Self.identity(request.metadata)
        guard kind != .watch else { return try await watched(try await next(request, context), by: identity) }
        try began(kind, by: identity)
        defer { ended(kind, by: identity) }
        return try await next(request, context)
    }

    /// A watch lives in its answer, for as long as that is written.
    private func watched<Output>(
        _ response: StreamingServerResponse<Output>,
        by identity: String?
    ) async throws -> StreamingServerResponse<Output> {
        guard case .success(var contents) = response.accepted else { return response }
        let producer = contents.producer
        contents.producer = { [self] writer in
            try began(.watch, by: identity)
            defer { ended(.watch, by: identity) }
            return try await producer(writer)
        }
        var response = response
        response.accepted = .success(contents)
        return response
    }

    /// Takes from what an identity may store per second.
    func stores(rows: Int, bytes: Int, for identity: String) throws(RPCError) {
        let refusal = admission.withLock { $0.stores(rows: rows, bytes: bytes, for: identity, at: .now()) }
        if let refusal { throw refused(refusal) }
    }

    /// Whom a call counts for: who was verified, and for whom it speaks when that is somebody else.
    ///
    /// An operator that speaks for two hundred robots is two hundred shares.
    static func identity(_ metadata: Metadata) -> String? {
        let peer = metadata[stringValues: MetadataKey.peer].first { _ in true }
        let robot = metadata[stringValues: MetadataKey.robot].first { _ in true }
        switch (peer, robot) {
        case (let peer?, let robot?) where peer != "\(PeerIdentity(.robot, robot))": return "\(peer) for \(robot)"
        case (let peer?, _): return peer
        case (nil, let robot?): return "robot \(robot)"
        case (nil, nil): return nil
        }
    }

    private func began(_ kind: ControlAdmission.Kind, by identity: String?) throws(RPCError) {
        let (refusal, open) = admission.withLock { admission in
            (admission.began(kind, by: identity, at: .now()), admission.openCalls(kind))
        }
        if let refusal { throw refused(refusal) }
        instruments.open(kind, open)
    }

    private func ended(_ kind: ControlAdmission.Kind, by identity: String?) {
        let open = admission.withLock { admission in
            admission.ended(kind, by: identity)
            return admission.openCalls(kind)
        }
        instruments.open(kind, open)
    }

    private func refused(_ refusal: ControlAdmission.Refusal) -> RPCError {
        instruments.refused(refusal.limit)
        return RPCError(code: .resourceExhausted, message: PeopleText.clean(refusal.message, limit: 1024))
    }
}
