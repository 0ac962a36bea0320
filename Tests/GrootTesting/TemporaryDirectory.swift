package import Foundation

/// A fresh directory that is deleted with everything in it when the owner lets go.
package final class TemporaryDirectory: Sendable {
    package let url: URL

    package init(prefix: String = "groot") throws {
        url = FileManager.default.temporaryDirectory.appending(path: "\(prefix)-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        // A leftover in the temporary directory harms nobody.
        try? FileManager.default.removeItem(at: url)
    }
}
