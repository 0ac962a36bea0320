package import GRPCCore
import GrootCore

/// A server's transport behind a check of every call's head. Any thread; keeps nothing.
///
/// The library reads `grpc-timeout` before any interceptor or handler runs, and ends the process for one that is negative:
/// a head that it must not see is answered here, with INVALID_ARGUMENT.
package struct CheckedHeadTransport<Base: ServerTransport>: ServerTransport {
    package typealias Bytes = Base.Bytes

    package let base: Base

    package init(_ base: Base) { self.base = base }

    package func configure(context: GRPCServerContext) { base.configure(context: context) }

    package func beginGracefulShutdown() { base.beginGracefulShutdown() }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await base.listen { stream, context in
            var checked = stream
            let outbound = stream.outbound
            checked.inbound = RPCAsyncSequence(
                wrapping: stream.inbound.map { part in
                    guard case .metadata(let metadata) = part else { return part }
                    do throws(RPCError) {
                        return .metadata(try CallHead.checked(metadata))
                    } catch {
                        try await outbound.write(.status(Status(code: .init(error.code), message: error.message), [:]))
                        await outbound.finish()
                        throw error
                    }
                }
            )
            await streamHandler(checked, context)
        }
    }
}

/// What of a call's metadata the library itself acts on. Pure.
enum CallHead {
    /// - Returns: the metadata with a deadline that can be waited for.
    /// - Throws: INVALID_ARGUMENT for what is no time.
    static func checked(_ metadata: Metadata) throws(RPCError) -> Metadata {
        let texts = Array(metadata[stringValues: GRPCTimeout.key])
        guard let text = texts.first else { return metadata }
        guard texts.count == 1, let timeout = GRPCTimeout.parse(text) else {
            let shown = ReadableText.clipped(texts.joined(separator: ", "), to: 64)
            throw RPCError(code: .invalidArgument, message: "\(GRPCTimeout.key) \"\(shown)\" is malformed")
        }
        guard timeout > GRPCTimeout.longest else { return metadata }
        var checked = metadata
        checked.replaceOrAddString(GRPCTimeout.format(GRPCTimeout.longest), forKey: GRPCTimeout.key)
        return checked
    }
}
