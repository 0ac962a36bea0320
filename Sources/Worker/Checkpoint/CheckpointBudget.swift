/// Which checkpoints fit into memory together. Pure.
///
/// During an exchange the old and the new one are both resident: that is what must fit.
package struct CheckpointBudget: Hashable, Sendable {
    /// Bytes; nil sets no limit (`--memory-budget`).
    package let limit: Int?
    private var resident: [String: Int] = [:]

    package init(limit: Int?) { self.limit = limit }

    package var used: Int { resident.values.reduce(0, +) }

    /// Nil without a limit; negative when more is resident than allowed.
    package var left: Int? { limit.map { $0 - used } }

    /// Nil when so many bytes more fit, else by how many they do not.
    package func excess(of bytes: Int) -> Int? {
        guard let limit else { return nil }
        // Sizes may be as large as an Int: nothing is added to them.
        let left = limit - used
        return bytes > left ? bytes - left : nil
    }

    /// The key tells apart two loads of one name.
    package mutating func became(resident key: String, bytes: Int) { resident[key] = bytes }

    package mutating func wentAway(_ key: String) { resident[key] = nil }
}
