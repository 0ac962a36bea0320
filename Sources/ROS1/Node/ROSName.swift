/// Graph names: what a user may write, and its global form.
enum ROSName {
    /// `arm` and `/arm` both become `/arm`.
    ///
    /// - Throws: `invalidUse` for an empty name or a character outside letters, digits, `_` and `/`.
    static func global(_ name: String) throws(ROSError) -> String {
        let segments = name.split(separator: "/", omittingEmptySubsequences: true)
        let isPlain = segments.allSatisfy { segment in
            segment.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
        }
        guard !segments.isEmpty, isPlain else {
            throw ROSError(.invalidUse, "\"\(name)\" is no ROS name: use letters, digits, _ and / only")
        }
        return "/" + segments.joined(separator: "/")
    }
}
