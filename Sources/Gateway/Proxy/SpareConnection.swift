import GrootCore
import HTTP2
import NIOCore

/// The second connection to a worker whose connections end with GOAWAY: opened, checked, and given away when it is needed.
///
/// Owned by one `Upstream`, confined to its event loop. The decisions are `SpareMachine`'s.
final class SpareConnection {
    /// Opens a connection to the worker that reports to this observer.
    typealias Open = (HTTP2Connection.Observer) -> HTTP2Connection
    /// Asks the worker over a connection whether it serves.
    typealias Check = (HTTP2Connection) -> EventLoopFuture<Bool>

    private let eventLoop: any EventLoop
    private let open: Open
    private let check: Check
    private var machine = SpareMachine()
    private var connection: HTTP2Connection?
    /// Counts connections, so that what an earlier one still says is not heard.
    private var number = 0
    private var timer: Scheduled<Void>?

    init(eventLoop: any EventLoop, open: @escaping Open, check: @escaping Check) {
        self.eventLoop = eventLoop
        self.open = open
        self.check = check
    }

    /// The connection in use ended with GOAWAY. Returns the one that takes its place, if there is one.
    func take() -> HTTP2Connection? {
        let next = machine.isReady ? connection : nil
        if next != nil {
            number += 1
            connection = nil
        }
        execute(machine.wentAway(at: .now()))
        return next
    }

    func cameUp() {
        execute(machine.cameUp(at: .now()))
    }

    func wentDown() {
        execute(machine.wentDown())
    }

    private func execute(_ actions: [SpareMachine.Action]) {
        for action in actions {
            switch action {
            case .open: connect()
            case .close: drop()
            case .wake(let instant):
                timer?.cancel()
                let delay = max(.zero, instant - .now())
                timer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [weak self] in
                    guard let self else { return }
                    execute(machine.timerFired(at: .now()))
                }
            }
        }
    }

    private func connect() {
        number += 1
        let current = number
        var observer = HTTP2Connection.Observer()
        observer.ready = { [weak self] in
            guard let self, number == current, let connection else { return }
            check(connection).assumeIsolated().whenComplete { [weak self] result in
                guard let self, number == current else { return }
                if case .success(true) = result {
                    execute(machine.checked(at: .now()))
                } else {
                    lost()
                }
            }
        }
        observer.goAway = { [weak self] in if self?.number == current { self?.lost() } }
        observer.closed = { [weak self] _ in if self?.number == current { self?.lost() } }
        let opened = open(observer)
        // Closed at once: the observer has heard of it.
        if number == current, !opened.isClosed { connection = opened }
    }

    private func lost() {
        drop()
        execute(machine.lost(at: .now()))
    }

    private func drop() {
        timer?.cancel()
        number += 1
        let old = connection
        connection = nil
        old?.close(.noError, reason: "it is not needed any more")
    }
}
