import Foundation
import GrootCore

/// The worker's end of the control connection: one JSON object a line, blocking with a limit.
///
/// Used from the child's own thread only. Every wait ends: with a message, with the peer's end, or with its limit.
@safe
final class ControlSocket {
    enum Failure: Error, Hashable {
        case closed
        case timedOut
        case malformed(String)
    }

    /// A longer line is nonsense.
    private static let maximumLine = 1 << 20

    private let listener: Int32
    private var connection: Int32 = -1
    private var buffer: [UInt8] = []

    /// - Throws: `badCheckpoint` when the path cannot be bound.
    init(path: String) throws(WorkerError) {
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.utf8CString
        let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            guard bytes.count <= target.count else { return false }
            unsafe bytes.withUnsafeBytes { unsafe target.copyBytes(from: $0) }
            return true
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(listener, $0, length) }
        }
        guard listener >= 0, fits, bound == 0, listen(listener, 1) == 0 else {
            let reason = unsafe String(cString: strerror(errno))
            if listener >= 0 { close(listener) }
            throw WorkerError(.badCheckpoint, "The control socket \(path) cannot be made: \(reason).")
        }
        _ = fcntl(listener, F_SETFD, FD_CLOEXEC)
    }

    deinit {
        if connection >= 0 { close(connection) }
        close(listener)
    }

    /// Waits for the child to connect; `isAlive` is asked every 100 ms, so that a child that dies is not waited for.
    func accept(until limit: MonotonicInstant, isAlive: () -> Bool) throws(Failure) {
        while true {
            if wait(for: listener, milliseconds: 100) {
                connection = Foundation.accept(listener, nil, nil)
                guard connection >= 0 else { throw .closed }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                return
            }
            guard isAlive() else { throw .closed }
            guard MonotonicInstant.now() < limit else { throw .timedOut }
        }
    }

    func send(_ request: ChildRequest) throws(Failure) {
        guard var line = try? JSONEncoder().encode(request) else { throw .malformed("a request of ours") }
        line.append(UInt8(ascii: "\n"))
        var sent = 0
        while sent < line.count {
            let count = unsafe line.withUnsafeBytes { bytes in
                unsafe Foundation.send(
                    connection,
                    bytes.baseAddress.map { unsafe $0 + sent },
                    bytes.count - sent,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else { throw .closed }
            sent += count
        }
    }

    func receive(until limit: MonotonicInstant) throws(Failure) -> ChildMessage {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Data(buffer[..<end])
                buffer.removeSubrange(...end)
                guard let message = try? JSONDecoder().decode(ChildMessage.self, from: line) else {
                    throw .malformed(String(decoding: line.prefix(200), as: UTF8.self))
                }
                return message
            }
            guard buffer.count < Self.maximumLine else { throw .malformed("a line without an end") }
            let left = (limit - .now()).nanoseconds / 1_000_000
            guard left > 0 else { throw .timedOut }
            guard wait(for: connection, milliseconds: Int32(clamping: left)) else { continue }
            var part = [UInt8](repeating: 0, count: 4096)
            let count = unsafe part.withUnsafeMutableBytes { unsafe read(connection, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .closed }
            buffer += part.prefix(count)
        }
    }

    private func wait(for descriptor: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }
}
