import CDispatch
import Foundation

/// One regular file of a checkpoint, opened for reading: never a pipe, a device or a folder, which would hang or swell
/// the worker, and never read beyond the size that it had when it was opened.
///
/// Links are followed, since a hub's cache is made of them. Belongs to whoever opened it; closed in `deinit`.
final class CheckpointFile {
    /// First words of what lies in the place of a file that `git lfs` has not fetched.
    private static let pointer = Array("version https://git-lfs.github.com/spec/".utf8)
    private static let blockBytes = 1 << 20

    let path: String
    let bytes: Int
    private let handle: FileHandle

    /// - Throws: `badCheckpoint` that names the file and what it is instead.
    init(_ url: URL) throws(WorkerError) {
        path = url.path
        func refused(_ problem: String) -> WorkerError { WorkerError(.badCheckpoint, "\(url.path) \(problem)") }
        // Without O_NONBLOCK, opening a pipe waits for somebody to write.
        let descriptor = unsafe open(url.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw refused(
                "cannot be read (\(reason)); a checkpoint directory holds config.json and model.onnx or model.safetensors."
            )
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw refused("is no regular file; copy the file itself to this place.")
        }
        bytes = Int(status.st_size)
        guard try read(at: 0, count: min(bytes, Self.pointer.count)) != Self.pointer else {
            throw refused("is a Git LFS pointer, not the file itself: run git lfs pull where it was cloned.")
        }
    }

    /// Exactly these bytes.
    ///
    /// - Throws: `badCheckpoint` when the file became shorter meanwhile.
    func read(at offset: Int, count: Int) throws(WorkerError) -> [UInt8] {
        precondition(offset >= 0 && count >= 0 && offset <= bytes - count, "bytes \(offset), \(count) of \(bytes)")
        var data = Data()
        do {
            try handle.seek(toOffset: UInt64(offset))
            while data.count < count, let part = try handle.read(upToCount: count - data.count), !part.isEmpty {
                data.append(part)
            }
        } catch {
            throw WorkerError(.badCheckpoint, "\(path) cannot be read.", cause: error)
        }
        guard data.count == count else {
            throw WorkerError(.badCheckpoint, "\(path) became shorter while it was read; wait for the copy to end.")
        }
        return Array(data)
    }

    /// The whole file.
    ///
    /// - Throws: `badCheckpoint` when it is larger than `limit`, before anything is read.
    func contents(atMost limit: Int) throws(WorkerError) -> Data {
        guard bytes <= limit else {
            throw WorkerError(.badCheckpoint, "\(path) has \(bytes) bytes, at most \(limit) are read of such a file.")
        }
        return Data(try read(at: 0, count: bytes))
    }

    /// The whole file in pieces, in order.
    func forEachBlock(_ body: ([UInt8]) -> Void) throws(WorkerError) {
        var offset = 0
        while offset < bytes {
            let block = try read(at: offset, count: min(Self.blockBytes, bytes - offset))
            body(block)
            offset += block.count
        }
    }
}

/// Single bytes of a file, read in pieces. Belongs to one task.
final class FileWindow {
    private static let pieceBytes = 1 << 16

    private let file: CheckpointFile
    private var piece: [UInt8] = []
    private var start = 0

    init(_ file: CheckpointFile) { self.file = file }

    /// Nil outside the file, and where it cannot be read.
    func byte(at offset: Int) -> UInt8? {
        if offset >= start, offset < start + piece.count { return piece[offset - start] }
        guard offset >= 0, offset < file.bytes else { return nil }
        // What cannot be read makes the file a damaged one, which whoever asks says.
        guard let read = try? file.read(at: offset, count: min(Self.pieceBytes, file.bytes - offset)) else {
            return nil
        }
        (piece, start) = (read, offset)
        return piece[0]
    }
}
