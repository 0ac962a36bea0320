import GrootCore
import NIOCore

// Limits of time, and frames that cost us and bring nothing.
extension HTTP2Connection {
    /// Counts a limiter that fired and says who made it fire.
    func hit(_ limit: HTTP2Limit, _ what: String) {
        let address = context?.remoteAddress.map { "\($0)" } ?? "unknown address"
        let who = peer?.identity.map { "\($0) at \(address)" } ?? address
        observer.limitHit?(limit, "\(who): \(what)")
    }

    func observe(_ kind: FloodMonitor.Kind) {
        guard !closesAfterFlush, !floods.observed(kind, at: .now()) else { return }
        endCalmly(kind.limit, "too many frames of one kind (\(kind.limit.rawValue))")
    }

    func pinged() {
        observe(.ping)
        guard role == .server, !closesAfterFlush, !pings.pinged(at: .now()) else { return }
        // The words are part of the agreement with gRPC clients, which then ping less.
        session?.submitGoAway(.enhanceYourCalm, "too_many_pings")
        endCalmly(.pingFlood, "too many pings")
    }

    private func endCalmly(_ limit: HTTP2Limit, _ what: String) {
        hit(limit, "the connection ends: \(what)")
        close(.enhanceYourCalm, reason: what)
    }

    /// Timers that every connection has from its start.
    func startLimits() {
        after(limits.handshakeTimeout, .handshake) { connection in
            guard !connection.isReady else { return }
            connection.hit(.handshakeTimeout, "closed: no SETTINGS")
            connection.close(.settingsTimeout, reason: "no HTTP/2 SETTINGS arrived in time")
        }
        scheduleIdleCheck(in: limits.idleTimeout)
        guard role == .server, limits.maxConnectionAge > .zero else { return }
        after(limits.maxConnectionAge * Double.random(in: 0.9...1.1), .age) { connection in
            connection.hit(.connectionAge, "drained")
            connection.drain()
            connection.after(connection.limits.connectionAgeGrace, .age) { connection in
                connection.close(.noError, reason: "too old, and its streams did not end in time")
            }
        }
    }

    private func scheduleIdleCheck(in delay: Duration) {
        after(delay, .idle) { connection in
            let now = MonotonicInstant.now()
            let quiet = connection.streams.isEmpty ? connection.idleSince.map { now - $0 } ?? .zero : .zero
            guard quiet >= connection.limits.idleTimeout else {
                connection.scheduleIdleCheck(in: connection.limits.idleTimeout - quiet)
                return
            }
            connection.hit(.connectionIdle, "closed")
            connection.close(.noError, reason: "idle for too long")
        }
    }

    /// Looks from now on, as long as there are streams, half a header block or bytes in the socket.
    func watch() {
        guard !watchScheduled, !isClosed else { return }
        watchScheduled = true
        let shortest = min(limits.writeTimeout, limits.streamIdleTimeout, limits.headerTimeout)
        after(min(.seconds(1), shortest / 4), .watch) { connection in
            connection.watchScheduled = false
            connection.look(at: .now())
        }
    }

    private func look(at now: MonotonicInstant) {
        if let began = headersBeganAt, now - began >= limits.headerTimeout {
            hit(.headerTimeout, "the connection ends: a header block did not end in time")
            close(.enhanceYourCalm, reason: "a header block did not end in time")
            return
        }
        let buffered = context?.channel.queuedBytes ?? 0
        let stood = writeWatch.standing(progress: writtenBytes - buffered, waiting: buffered > 0, at: now)
        if stood >= limits.writeTimeout {
            hit(.writeStalled, "the connection ends: its peer reads nothing")
            close(.enhanceYourCalm, reason: "the peer reads nothing")
            return
        }
        for stream in Array(streams.values) {
            guard let stalled = stream.stalled(limits, at: now) else { continue }
            hit(stalled, "stream \(stream.id) is reset")
            stream.reset(.cancel)
        }
        if !streams.isEmpty || headersBeganAt != nil || buffered > 0 { watch() }
    }
}

extension HTTP2Stream {
    /// Which limit of time this stream has run into.
    func stalled(_ limits: HTTP2Limits, at now: MonotonicInstant) -> HTTP2Limit? {
        let stood = writeWatch.standing(progress: activity, waiting: queuedBytes > 0, at: now)
        if stood >= limits.writeTimeout { return .writeStalled }
        let idle = idleWatch.standing(progress: activity, waiting: true, at: now)
        return idle >= limits.streamIdleTimeout ? .streamIdle : nil
    }
}
