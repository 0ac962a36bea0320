package import Testing

/// Asks `condition` again and again until it holds; records an issue at the call's place when it never does.
///
/// For conditions that another process or thread brings about and that offer no signal to wait for.
package func eventually(
    within limit: Duration = .seconds(10),
    _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("not within \(limit): \(comment)", sourceLocation: sourceLocation)
}
