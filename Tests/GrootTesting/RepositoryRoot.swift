package import Foundation

/// Where the sources of this package lie.
package enum RepositoryRoot {
    package static let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The interpreter with the packages of Tests/Conformance/requirements.txt, made by scripts/setup.sh.
    package static let python = url.appending(path: ".state/python/bin/python").path
}
