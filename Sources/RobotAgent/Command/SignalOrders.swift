import Dispatch
import Foundation
import Glibc
import Synchronization

/// Turns signals into orders: they reach the session machine at its next tick, whatever the run is doing.
///
/// SIGINT and SIGTERM always; SIGHUP unless the process was started to ignore it (nohup). Owns its dispatch sources.
final class SignalOrders: Sendable {
    // SAFETY: used under the lock only.
    private struct Sources: @unchecked Sendable {
        var all: [any DispatchSourceSignal] = []
    }

    private static let meanings: [(signal: Int32, order: Order)] = [
        (SIGINT, .interrupt), (SIGTERM, .terminate), (SIGHUP, .lostTerminal),
    ]

    private let sources = Mutex(Sources())

    /// - Parameter heard: called for each signal, on a queue of its own.
    init(_ heard: @escaping @Sendable (Order) -> Void) {
        let queue = DispatchQueue(label: "groot-signals", qos: .userInteractive)
        for (number, order) in Self.meanings where number != SIGHUP || !Self.ignoresHangUp {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { heard(order) }
            source.resume()
            sources.withLock { $0.all.append(source) }
        }
    }

    /// Signals mean nothing any more.
    func cancel() {
        sources.withLock { sources in
            for source in sources.all { source.cancel() }
            sources.all = []
        }
    }

    /// Whether SIGHUP was ignored when the process began.
    private static let ignoresHangUp: Bool = {
        // /proc is there on every Linux; without it a hang-up counts.
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("SigIgn:") }
        guard let mask = line?.split(whereSeparator: \.isWhitespace).last.flatMap({ UInt64($0, radix: 16) }) else {
            return false
        }
        return mask & 1 << UInt64(SIGHUP - 1) != 0
    }()
}
