import Synchronization

@testable import RobotAgent

/// A directory in memory with a capacity, whose bytes a test can damage. Any thread.
final class MemoryFolder: SpoolStorage {
    private struct State {
        var files: [String: [UInt8]] = [:]
        /// In the order of their making.
        var order: [String] = []
        var capacity = Int.max
        var isBroken = false
    }

    private let state: Mutex<State>

    init(_ files: [(name: String, bytes: [UInt8])] = []) {
        var initial = State()
        for file in files {
            initial.files[file.name] = file.bytes
            initial.order.append(file.name)
        }
        state = Mutex(initial)
    }

    var files: [(name: String, bytes: [UInt8])] {
        state.withLock { state in state.order.map { ($0, state.files[$0] ?? []) } }
    }
    var bytes: Int { files.reduce(0) { $0 + $1.bytes.count } }
    /// Bytes of all files beyond which the disk is full.
    var capacity: Int {
        get { state.withLock { $0.capacity } }
        set { state.withLock { $0.capacity = newValue } }
    }
    var isBroken: Bool {
        get { state.withLock { $0.isBroken } }
        set { state.withLock { $0.isBroken = newValue } }
    }

    func list() throws(SpoolStorageError) -> [(name: String, bytes: Int)] {
        files.map { ($0.name, $0.bytes.count) }
    }

    func write(_ bytes: [UInt8], to name: String, at offset: Int) throws(SpoolStorageError) {
        let failure = state.withLock { state -> SpoolStorageError? in
            if state.isBroken { return SpoolStorageError(.failed, "I/O error") }
            let used = state.files.values.reduce(0) { $0 + $1.count }
            guard used + bytes.count <= state.capacity else { return SpoolStorageError(.full, "no space left") }
            if offset == 0 {
                state.files[name] = []
                state.order.append(name)
            }
            precondition(state.files[name]?.count == offset, "\(name) is not written at its end")
            state.files[name]? += bytes
            return nil
        }
        if let failure { throw failure }
    }

    func read(_ name: String, from offset: Int) throws(SpoolStorageError) -> [UInt8] {
        guard let bytes = state.withLock({ $0.files[name] }) else {
            throw SpoolStorageError(.failed, "\(name) is not there")
        }
        return Array(bytes.dropFirst(offset))
    }

    func delete(_ name: String) throws(SpoolStorageError) {
        state.withLock { state in
            state.files[name] = nil
            state.order.removeAll { $0 == name }
        }
    }

    func synchronize(_ name: String) throws(SpoolStorageError) {}
}
