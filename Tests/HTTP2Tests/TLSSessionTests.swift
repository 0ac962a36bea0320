import GrootTesting
import NIOCore
import Testing

@testable import HTTP2

/// TLS without sockets: what a session hands out, and in how much memory.
@Suite(.timeLimit(.minutes(1)))
struct TLSSessionTests {
    let client: TLSSession
    let server: TLSSession

    init() throws {
        let authority = try TestAuthority()
        let issued = try authority.issue("server")
        let listener = TLSConfiguration(certificate: issued.certificate, key: issued.key)
        let verifier = TLSConfiguration(authority: authority.certificate)
        server = try TLSSession(try TLSContextSource(.server, listener).current, serverName: nil)
        client = try TLSSession(try TLSContextSource(.client, verifier).current, serverName: nil)
        var isDone = (client: false, server: false)
        while !isDone.client || !isDone.server {
            if !isDone.client { isDone.client = try client.handshake() }
            server.receive(client.takeOutput())
            if !isDone.server { isDone.server = try server.handshake() }
            client.receive(server.takeOutput())
        }
    }

    /// A body is held as slices of what was read: room that stays empty would be held with it.
    @Test(arguments: [(1, 1 << 18), (460_000, 1 << 18), (2_800_000, 1 << 18), (2_800_000, 100_001), (300_000, 7_001)])
    func plaintextComesInPiecesThatAreFull(_ byteCount: Int, _ readSize: Int) throws {
        let body = ByteBuffer(bytes: (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 / 7) })
        try client.write(body)
        var ciphertext = client.takeOutput()
        var received = ByteBuffer()
        var capacity = 0
        while ciphertext.readableBytes > 0 {
            let count = min(readSize, ciphertext.readableBytes)
            guard let part = ciphertext.readSlice(length: count) else { break }
            server.receive(part)
            for piece in try pieces(of: server) {
                #expect(piece.storageCapacity <= 64 << 10)
                capacity += piece.storageCapacity
                received.writeImmutableBuffer(piece)
            }
        }
        #expect(received == body)
        if byteCount > 100_000, readSize > 100_000 { #expect(capacity < byteCount * 9 / 8) }
        #expect(capacity <= 2 * byteCount + 4096)
    }

    @Test
    func theEndIsSeenAfterTheLastPiece() throws {
        try client.write(ByteBuffer(repeating: 1, count: 100_000))
        client.shutdown()
        server.receive(client.takeOutput())
        var count = 0
        reading: while true {
            switch try server.read(ByteBufferAllocator()) {
            case .plaintext(let piece): count += piece.readableBytes
            case .end: break reading
            case .nothing:
                Issue.record("the peer's close_notify was lost")
                break reading
            }
        }
        #expect(count == 100_000)
    }

    private func pieces(of session: TLSSession) throws -> [ByteBuffer] {
        var pieces: [ByteBuffer] = []
        while case .plaintext(let piece) = try session.read(ByteBufferAllocator()) { pieces.append(piece) }
        return pieces
    }
}

extension TLSSession {
    fileprivate func takeOutput() -> ByteBuffer {
        defer { output = ByteBuffer() }
        return output
    }
}
