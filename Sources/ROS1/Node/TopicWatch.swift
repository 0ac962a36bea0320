/// Tells whenever the publishers of a topic change, as soon as the master knows; follows nobody.
struct TopicWatch: Sendable {
    var topic: String
    var type: String
    /// Runs on the event loop of the calls.
    var changed: @Sendable () -> Void
}
