import Foundation
import Glibc
import GrootCore

/// What an operator at the terminal typed: `s` success, `f` failure, `q` quit, each with Enter.
///
/// One thread blocks in `readLine` for the rest of the process; the newest key waits in a slot.
package final class OperatorKeys: Sendable {
    package enum Key: Sendable {
        case success
        case failure
        case quit
    }

    private let latest = LatestValue<Key>()

    /// Starts reading when standard input is a terminal.
    package init() {
        guard isatty(STDIN_FILENO) == 1 else { return }
        Thread.detachNewThread { [latest] in
            while let line = readLine() {
                switch line.lowercased().first {
                case "s": latest.store(.success)
                case "f": latest.store(.failure)
                case "q": latest.store(.quit)
                default: break
                }
            }
        }
    }

    package func take() -> Key? { latest.take() }
}
