import GrootCore
import NIOCore
import Synchronization

/// The subscribers of a direct topic: encodes a message into memory set aside and writes it to each of them on the calling
/// thread, without an event loop in between and without allocating once the first message is out.
///
/// One lock over the list, held for encoding and for sends that never wait; event loops take it to add and remove
/// subscribers. It hands its holder the waiting thread's priority, as `Mutex` does on Linux.
final class DirectSubscribers: Sendable {
    /// Memory for one frame; a larger one makes room for itself once.
    private static let frameBytes = 4096

    private struct Subscriber {
        var channel: any Channel
        var socket: SubscriberSocket
        var backlog: SubscriberBacklog

        mutating func offer(_ frame: Span<UInt8>, at now: MonotonicInstant) -> SubscriberBacklog.Outcome {
            let socket = socket
            return backlog.offer(frame, at: now) { socket.write($0) }
        }
    }

    private struct State {
        var subscribers: [Subscriber] = []
        var writer: ROSWriter
        var leftOut: UInt64 = 0
        var isClosed = false
    }

    private let state: Mutex<State>
    private let leftOutCounter: Counter?
    private let givenUpCounter: Counter?

    init(topic: String, metrics: MetricsRegistry?) {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.frameBytes)
        state = Mutex(State(writer: ROSWriter(buffer)))
        leftOutCounter = TopicSender.droppedCounter(of: topic, metrics)
        givenUpCounter = metrics?.counter(
            "groot_ros_publisher_dropped_subscribers_total",
            help: "Subscribers whose connection was closed because they took nothing for a second",
            labels: ["topic": topic]
        )
    }

    var count: Int { state.withLock { $0.subscribers.count } }
    /// Messages left out because a subscriber was behind.
    var leftOutCount: UInt64 { state.withLock { $0.leftOut } }

    /// Encodes once and writes to every subscriber. Called by one thread.
    func send<Message: ROSMessage>(_ message: Message) {
        let now = MonotonicInstant.now()
        state.withLock { state in
            guard !state.subscribers.isEmpty else { return }
            state.writer.frame(message)
            let frame = state.writer.buffer
            state.leftOut += deliver(frame.readableBytesUInt8Span, to: &state.subscribers, at: now)
        }
    }

    /// - Returns: subscribers that were behind.
    private func deliver(
        _ frame: Span<UInt8>,
        to subscribers: inout [Subscriber],
        at now: MonotonicInstant
    ) -> UInt64 {
        var leftOut: UInt64 = 0
        for index in subscribers.indices {
            switch subscribers[index].offer(frame, at: now) {
            case .sent, .broken, .over: break
            case .leftOut: leftOut += 1
            case .gaveUp:
                subscribers[index].socket.end()
                givenUpCounter?.increment()
            }
        }
        if leftOut > 0 { leftOutCounter?.increment(by: leftOut) }
        return leftOut
    }

    /// Takes in a subscriber whose header was answered; event loop. False after `close`.
    func add(_ socket: SubscriberSocket, on channel: any Channel) -> Bool {
        let subscriber = Subscriber(
            channel: channel,
            socket: socket,
            backlog: SubscriberBacklog(frameBytes: Self.frameBytes)
        )
        return state.withLock { state in
            guard !state.isClosed else { return false }
            state.subscribers.append(subscriber)
            return true
        }
    }

    /// The connection ended; event loop.
    ///
    /// - Returns: whether it was this topic that gave it up.
    func remove(_ socket: SubscriberSocket) -> Bool {
        let gone = state.withLock { state -> Subscriber? in
            guard let index = state.subscribers.firstIndex(where: { $0.socket === socket }) else { return nil }
            return state.subscribers.remove(at: index)
        }
        return gone?.backlog.isGivenUp ?? false
    }

    func close() {
        let subscribers = state.withLock { state -> [Subscriber] in
            state.isClosed = true
            defer { state.subscribers = [] }
            return state.subscribers
        }
        for subscriber in subscribers { subscriber.channel.close(promise: nil) }
    }
}
