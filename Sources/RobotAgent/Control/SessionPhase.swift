/// Where a session stands: the rows of the table in docs/safety.md.
package enum SessionPhase: String, Sendable, CaseIterable {
    /// Nothing is commanded: before the first motion, while a scene is put back, without motion in a dry run.
    case silent
    /// On the way-points of the profile, before the first drive home of a session.
    case approaching
    /// On the way home.
    case homing
    /// Streaming a pose: at home, or where an episode ended. The run may go on.
    case standing
    /// In an episode, standing until the first chunk comes.
    case waiting
    /// Executing chunks.
    case following
    /// Motion is forbidden or nothing is left to execute; it goes on by itself.
    case holding
    /// A person wants the arms to stand, ready to go on.
    case paused
    /// Decelerating.
    case stopping
    /// A person stopped the arms: they stand until `home`, `resume` or `quit`.
    case stopped
    /// Nothing is commanded any more; the arms are being handed back.
    case leaving
    /// The arms are handed back.
    case ended

    /// Nothing is commanded for the rest of the session.
    package var isOver: Bool { self == .leaving || self == .ended }
}
