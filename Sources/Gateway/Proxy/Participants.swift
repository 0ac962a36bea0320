import GrootCore
import HTTP2
import Synchronization

/// What one participant has in hand at this gateway, over all its connections and event loops. Any thread.
///
/// A participant is whoever the certificate names; without certificates the address that connects. A robot that is only
/// claimed (over cleartext, or by an operator who speaks for many) is counted beside whoever claims it.
final class Participant: Sendable {
    /// What is counted, each with a limit in `ParticipantLimits`.
    enum Budget: Int, Sendable, CaseIterable {
        case connections
        case streams
        case uploads
        case heldBytes
    }

    /// "robot/r1", "operator/anna", "address 10.0.0.7", "robot r1".
    let name: String
    /// One robot, not somebody who may speak for many.
    let isRobot: Bool
    private let connections = Atomic<Int>(0)
    private let streams = Atomic<Int>(0)
    private let uploads = Atomic<Int>(0)
    private let heldBytes = Atomic<Int>(0)

    init(name: String, isRobot: Bool) {
        self.name = name
        self.isRobot = isRobot
    }

    /// Takes so much of a budget; false, and nothing taken, when that would exceed the limit.
    func take(_ amount: Int = 1, of budget: Budget, limit: Int) -> Bool {
        guard change(budget, by: amount) <= limit else {
            _ = change(budget, by: -amount)
            return false
        }
        return true
    }

    func giveBack(_ amount: Int = 1, of budget: Budget) {
        _ = change(budget, by: -amount)
    }

    func used(_ budget: Budget) -> Int { change(budget, by: 0) }

    private func change(_ budget: Budget, by amount: Int) -> Int {
        switch budget {
        case .connections: connections.add(amount, ordering: .relaxed).newValue
        case .streams: streams.add(amount, ordering: .relaxed).newValue
        case .uploads: uploads.add(amount, ordering: .relaxed).newValue
        case .heldBytes: heldBytes.add(amount, ordering: .relaxed).newValue
        }
    }
}

/// What a participant may have in hand at a time: one robot, and everybody else (who may speak for many robots).
struct ParticipantLimits: Sendable, Equatable {
    var connections: Int
    var streams: Int
    /// Requests whose body is not complete.
    var uploads: Int
    /// Bytes of requests that are not answered.
    var heldBytes: Int

    static let robot = ParticipantLimits(connections: 32, streams: 256, uploads: 64, heldBytes: 64 << 20)
    static let peer = ParticipantLimits(connections: 2048, streams: 8192, uploads: 2048, heldBytes: 192 << 20)

    subscript(budget: Participant.Budget) -> Int {
        switch budget {
        case .connections: connections
        case .streams: streams
        case .uploads: uploads
        case .heldBytes: heldBytes
        }
    }
}

/// The participants that have anything in hand now. Any thread; forgets whoever has nothing.
final class Participants: Sendable {
    private struct Entry {
        var participant: Participant
        var holders: Int
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// To be given back with `leave`.
    func enter(_ name: String, isRobot: Bool) -> Participant {
        entries.withLock { entries in
            if let participant = entries[name]?.participant {
                entries[name]?.holders += 1
                return participant
            }
            let participant = Participant(name: name, isRobot: isRobot)
            entries[name] = Entry(participant: participant, holders: 1)
            return participant
        }
    }

    func leave(_ participant: Participant) {
        entries.withLock { entries in
            guard let holders = entries[participant.name]?.holders else { return }
            if holders > 1 {
                entries[participant.name]?.holders = holders - 1
            } else {
                entries[participant.name] = nil
            }
        }
    }

    var count: Int { entries.withLock { $0.count } }
}

/// Who is at the other end of one connection. Confined to the connection's event loop.
final class ConnectionPeer {
    private let shared: GatewayShared
    private(set) var participant: Participant?

    init(shared: GatewayShared) {
        self.shared = shared
    }

    /// Nil when it may connect, else why not.
    func admitted(_ peer: TLSPeer?, address: String, limits: (ParticipantLimits, ParticipantLimits)) -> String? {
        let identity = peer?.isVerified == true ? peer?.identity : nil
        let isRobot = identity?.kind == .robot
        let name = identity.map { "\($0)" } ?? "address \(address)"
        let participant = shared.participants.enter(name, isRobot: isRobot)
        let limit = (isRobot ? limits.0 : limits.1).connections
        guard participant.take(of: .connections, limit: limit) else {
            shared.participants.leave(participant)
            let key = "\(isRobot ? "robot" : "peer")-connections"
            shared.hit(isRobot ? .robotConnections : .peerConnections, "\(name) has \(limit) connections (\(key))")
            return "\(name) has \(limit) connections already (\(key))"
        }
        self.participant = participant
        return nil
    }

    func closed() {
        guard let participant else { return }
        participant.giveBack(of: .connections)
        shared.participants.leave(participant)
        self.participant = nil
    }
}
