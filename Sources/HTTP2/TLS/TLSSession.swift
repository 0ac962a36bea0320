import COpenSSL
import GrootCore
import NIOCore

/// The only owner of an `SSL`, freed in `deinit`. Does no I/O: ciphertext from the socket goes into `receive`, what is
/// for the socket piles up in `output`. Confined to one event loop.
@safe
final class TLSSession {
    /// Ciphertext for the socket.
    var output = ByteBuffer()
    private let ssl: OpaquePointer
    private let context: TLSContext
    /// Largest buffer of plaintext: of the size of four records, and below what malloc takes from the kernel each time.
    private static let pieceSize = 64 << 10
    private static let smallestPiece = 4 << 10
    /// Ciphertext from the socket that the library has not asked for yet.
    private var input = ByteBuffer()
    /// The library keeps its buffer from one record to the next.
    private var keepsBuffer = false
    /// With more than the largest record to come, another one follows at once.
    private static let burstSize = 20 << 10

    /// - Parameter serverName: clients: the DNS name or IP address that the server's certificate must carry.
    init(_ context: TLSContext, serverName: String?) throws(HTTP2Error) {
        guard let ssl = unsafe SSL_new(context.handle) else {
            throw HTTP2Error(.tls, "OpenSSL cannot make a session: \(TLSErrorQueue.drain() ?? "out of memory")")
        }
        unsafe self.ssl = ssl
        self.context = context
        guard let bio = unsafe BIO_new(TLSBufferBIO.method.handle) else {
            throw HTTP2Error(.tls, "OpenSSL is out of memory")
        }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        // One BIO for both directions; the session owns it from here.
        unsafe SSL_set_bio(ssl, bio, bio)
        switch context.role {
        case .server: unsafe SSL_set_accept_state(ssl)
        case .client:
            unsafe SSL_set_connect_state(ssl)
            if let serverName { try expect(serverName) }
        }
    }

    deinit {
        unsafe SSL_free(ssl)
    }

    func receive(_ ciphertext: ByteBuffer) {
        if input.readableBytes == 0 {
            input = ciphertext
        } else {
            input.writeImmutableBuffer(ciphertext)
        }
    }

    /// Goes as far as the input allows; true once the handshake is done and h2 agreed on.
    func handshake() throws(HTTP2Error) -> Bool {
        let result = unsafe SSL_do_handshake(ssl)
        guard result == 1 else {
            if unsafe SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ { return false }
            throw handshakeError()
        }
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        let agreed = unsafe UnsafeBufferPointer(start: name, count: Int(count))
        guard unsafe agreed.elementsEqual("h2".utf8) else {
            throw HTTP2Error(.tls, "the peer speaks TLS but not HTTP/2 (it did not agree to ALPN h2)")
        }
        let peer = peer
        if context.revoked.contains(serial: peer.serial) {
            throw HTTP2Error(.tls, "the peer's certificate is revoked: \(peer.subject), serial \(peer.serial)")
        }
        return true
    }

    /// What is known of the peer once the handshake is done.
    var peer: TLSPeer {
        let version = unsafe String(cString: SSL_get_version(ssl))
        guard let handle = unsafe SSL_get1_peer_certificate(ssl) else {
            return TLSPeer(identity: nil, isVerified: false, subject: "", serial: "", version: version)
        }
        let certificate = unsafe Certificate(owning: handle)
        // Without an authority nothing was verified, and an unverified name is no identity.
        let isVerified = unsafe SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0
        return TLSPeer(
            identity: isVerified ? certificate.identity : nil,
            isVerified: isVerified,
            subject: certificate.subject,
            serial: certificate.serial,
            version: version
        )
    }

    /// What a read found.
    enum Reading {
        case plaintext(ByteBuffer)
        case nothing
        /// The peer said that it will send no more.
        case end
    }

    /// A power of two, as buffers have: 100 kB become pieces of 64, 32 and 4 KiB instead of two of 64.
    private static func room(for waiting: Int) -> Int {
        let below = 1 << (Int.bitWidth - 1 - waiting.leadingZeroBitCount)
        return min(max(below, smallestPiece), pieceSize)
    }

    /// Decrypts up to a piece of what is there. Called again until it finds nothing.
    ///
    /// Pieces, because bodies are held as slices of them until they are answered: one buffer for all that arrived would
    /// be rounded up to twice its size, and what stays empty of it would be held too.
    func read(_ allocator: ByteBufferAllocator) throws(HTTP2Error) -> Reading {
        let waiting = input.readableBytes + Int(unsafe SSL_pending(ssl))
        guard waiting > 0 else {
            return unsafe SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0 ? .end : .nothing
        }
        var plaintext = allocator.buffer(capacity: Self.room(for: waiting))
        while plaintext.writableBytes > 0 {
            keepBuffer(input.readableBytes > Self.burstSize)
            var failure: Int32 = SSL_ERROR_NONE
            unsafe plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: plaintext.writableBytes) { space in
                var count = 0
                let result = unsafe SSL_read_ex(ssl, space.baseAddress, space.count, &count)
                if result != 1 { failure = unsafe SSL_get_error(ssl, result) }
                return result == 1 ? count : 0
            }
            switch failure {
            case SSL_ERROR_NONE: continue
            case SSL_ERROR_WANT_READ:
                return plaintext.readableBytes > 0 ? .plaintext(plaintext) : .nothing
            case SSL_ERROR_ZERO_RETURN:
                return plaintext.readableBytes > 0 ? .plaintext(plaintext) : .end
            default:
                throw HTTP2Error(.tls, "TLS from the peer is broken: \(TLSErrorQueue.drain() ?? "error \(failure)")")
            }
        }
        return .plaintext(plaintext)
    }

    /// During a burst the buffer stays: one allocation for all its records instead of one for each.
    private func keepBuffer(_ keeps: Bool) {
        guard keeps != keepsBuffer else { return }
        keepsBuffer = keeps
        if keeps {
            unsafe groot_ssl_clear_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
        } else {
            unsafe groot_ssl_set_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
        }
    }

    /// Encrypts; the result is in `output`.
    func write(_ plaintext: ByteBuffer) throws(HTTP2Error) {
        guard plaintext.readableBytes > 0 else { return }
        let failure = unsafe plaintext.withUnsafeReadableBytes { bytes -> Int32 in
            var count = 0
            let result = unsafe SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
            return result == 1 ? SSL_ERROR_NONE : unsafe SSL_get_error(ssl, result)
        }
        guard failure == SSL_ERROR_NONE else {
            throw HTTP2Error(.tls, "TLS cannot encrypt: \(TLSErrorQueue.drain() ?? "error \(failure)")")
        }
    }

    /// Puts close_notify into the output.
    func shutdown() {
        guard unsafe SSL_is_init_finished(ssl) != 0 else { return }
        // One call sends ours; nobody waits for the peer's.
        _ = unsafe SSL_shutdown(ssl)
        _ = TLSErrorQueue.drain()
    }

    private func expect(_ serverName: String) throws(HTTP2Error) {
        let parameters = unsafe SSL_get0_param(ssl)
        let isAddress = unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, serverName) == 1
        _ = TLSErrorQueue.drain()
        guard !isAddress else { return }
        let accepted =
            unsafe X509_VERIFY_PARAM_set1_host(parameters, serverName, 0) == 1
            && groot_ssl_set_host_name(ssl, serverName) == 1
        guard accepted else { throw HTTP2Error(.tls, "\"\(serverName)\" is no host name that TLS could check") }
    }

    private func handshakeError() -> HTTP2Error {
        let queue = TLSErrorQueue.drain()
        let verdict = unsafe SSL_get_verify_result(ssl)
        if verdict != Int(X509_V_OK) {
            let why = unsafe String(cString: X509_verify_cert_error_string(verdict))
            return HTTP2Error(.tls, "the peer's certificate is refused: \(why)")
        }
        return HTTP2Error(.tls, "the TLS handshake failed: \(queue ?? "the peer closed the connection")")
    }

    // What the BIO asks for.

    fileprivate func take(into space: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(space.count, input.readableBytes)
        guard count > 0 else { return 0 }
        unsafe input.readWithUnsafeReadableBytes { bytes in
            unsafe space.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return count
        }
        // The channel reads into the same memory again once nobody else holds it.
        if input.readableBytes == 0 { input = ByteBuffer() }
        return count
    }

    fileprivate func put(_ bytes: UnsafeRawBufferPointer) {
        unsafe output.writeBytes(bytes)
    }
}

/// A BIO whose two ends are the buffers of a `TLSSession`: OpenSSL's own memory BIO would copy once more each way.
@safe
// SAFETY: the table is filled once, before anyone sees it, and only read afterwards.
private struct TLSBufferBIO: @unchecked Sendable {
    static let method = TLSBufferBIO()
    let handle: OpaquePointer?

    private init() {
        unsafe handle = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "groot buffers")
        unsafe BIO_meth_set_create(handle) { bio in
            unsafe BIO_set_init(bio, 1)
            return 1
        }
        unsafe BIO_meth_set_read(handle) { bio, bytes, count in
            unsafe groot_bio_clear_retry(bio)
            guard let session = unsafe TLSBufferBIO.session(bio), let bytes = unsafe bytes, count > 0 else { return -1 }
            let taken = unsafe session.take(into: UnsafeMutableRawBufferPointer(start: bytes, count: Int(count)))
            guard taken > 0 else {
                unsafe groot_bio_set_retry_read(bio)
                return -1
            }
            return Int32(taken)
        }
        unsafe BIO_meth_set_write(handle) { bio, bytes, count in
            unsafe groot_bio_clear_retry(bio)
            guard let session = unsafe TLSBufferBIO.session(bio), let bytes = unsafe bytes, count > 0 else { return -1 }
            unsafe session.put(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        unsafe BIO_meth_set_ctrl(handle) { _, command, _, _ in
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
    }

    private static func session(_ bio: OpaquePointer?) -> TLSSession? {
        guard let data = unsafe BIO_get_data(bio) else { return nil }
        return unsafe Unmanaged<TLSSession>.fromOpaque(data).takeUnretainedValue()
    }
}
