package import GRPCCore

extension GRPCServer {
    /// Serves until it is told to stop, like `serve()`, but cancellation begins the gentle end instead of tearing
    /// everything down: the transport traps ("Deinited NIOAsyncWriter") when its task is cancelled between the arrival of
    /// a stream and the start of its handler.
    ///
    /// What has not ended `patience` after cancellation goes on without its caller; it ends with the process.
    package func serveToTheEnd(patience: Duration = .seconds(2)) async throws {
        let (ended, end) = AsyncStream<Result<Void, any Error>>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (settled, settle) = AsyncStream<Never>.makeStream()
        // Of no task: nothing cancels it.
        Task {
            do {
                try await serve()
                end.yield(.success(()))
            } catch {
                end.yield(.failure(error))
            }
            end.finish()
            settle.finish()
        }
        for await result in ended { return try result.get() }
        beginGracefulShutdown()
        await Task {
            let limit = Task {
                try? await Task.sleep(for: patience)
                settle.finish()
            }
            for await _ in settled {}
            limit.cancel()
        }.value
    }
}
