import GrootCore
import NIOCore

/// Type and fingerprint that a running service claims.
package struct ROSServiceDescription: Sendable, Hashable {
    package var type: String
    package var md5: String
}

extension ROSNode {
    private static let pollInterval = Duration.milliseconds(100)

    /// Offers a service; an error that `handler` throws reaches the caller as text.
    package func advertiseService<S: ROSService>(
        _ name: String,
        as type: S.Type,
        handler: @escaping @Sendable (S.Request) async throws -> S.Response
    ) async throws(ROSError) {
        let entry = ServiceEntry(
            name: try ROSName.global(name),
            type: S.rosType,
            md5: S.md5,
            requestType: S.Request.rosType,
            responseType: S.Response.rosType
        ) { body in try await handler(S.Request(decoding: body)).encoded() }
        try await running().add(entry)
    }

    /// Calls a service once; the deadline covers lookup, connection and answer.
    ///
    /// - Throws: `notFound`, `typeMismatch`, `refused` with the service's text, `timeout`, `unreachable`.
    package func callService<S: ROSService>(
        _ name: String,
        as type: S.Type,
        request: S.Request,
        timeout: Duration
    ) async throws(ROSError) -> S.Response {
        let header = ["type": S.rosType, "md5sum": S.md5]
        let answer = try await exchange(name, header: header, request: request.encoded(), timeout: timeout)
        return try S.Response(decoding: answer.response)
    }

    /// Asks a service for its type and fingerprint without calling it.
    ///
    /// - Throws: as `callService`.
    package func describeService(_ name: String, timeout: Duration) async throws(ROSError) -> ROSServiceDescription {
        let header = ["md5sum": ConnectionHeader.wildcard, "probe": "1"]
        let answer = try await exchange(name, header: header, request: nil, timeout: timeout)
        return ROSServiceDescription(type: answer.header["type"] ?? "", md5: answer.header["md5sum"] ?? "")
    }

    /// Returns as soon as a node offers the service and accepts a connection for it.
    ///
    /// - Throws: `timeout` that names the last obstacle.
    package func waitForService(_ name: String, timeout: Duration) async throws(ROSError) {
        let deadline = MonotonicInstant.now() + timeout
        while true {
            let left = deadline - MonotonicInstant.now()
            do throws(ROSError) {
                guard left > .zero else { throw ROSError(.timeout, "no time left") }
                _ = try await describeService(name, timeout: left)
                return
            } catch {
                if error.code == .invalidUse || error.code == .shutDown { throw error }
                guard left > Self.pollInterval, !Task.isCancelled else {
                    throw ROSError(.timeout, "the service \(name) did not appear within \(timeout)", cause: error)
                }
            }
            // Sleep ends early only by cancellation, which the next round sees.
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    /// Every topic that has a publisher, with its type.
    package func publishedTopics() async throws(ROSError) -> [String: String] {
        let value = try await running().master.call("getPublishedTopics", [.string("")])
        var topics: [String: String] = [:]
        for pair in value.array ?? [] {
            guard let pair = pair.strings, pair.count == 2 else {
                throw ROSError(.malformed, "the master's topic list is not made of name and type")
            }
            topics[pair[0]] = pair[1]
        }
        return topics
    }

    private func exchange(
        _ name: String,
        header: [String: String],
        request: ByteBuffer?,
        timeout: Duration
    ) async throws(ROSError) -> (header: ConnectionHeader, response: ByteBuffer) {
        let runtime = try running()
        let name = try ROSName.global(name)
        let started = MonotonicInstant.now()
        let address = try await runtime.master.lookUp(service: name, timeout: timeout)
        let left = timeout - (MonotonicInstant.now() - started)
        guard left > .zero else { throw ROSError(.timeout, "no time left to call \(name)") }
        let fields = header.merging(["callerid": runtime.callerID, "service": name]) { first, _ in first }
        return try await ServiceExchange.run(
            at: address,
            header: ConnectionHeader(fields),
            request: request,
            group: runtime.client.group,
            timeout: left
        )
    }
}
