import COpenSSL
import GrootCore

/// The only owner of an `SSL_CTX`, freed in `deinit`: certificate, key and rules of one side, as they were in the files.
///
/// Not changed after `init`, so connections of all threads are made from it; a reload makes another one.
@safe
// SAFETY: an SSL_CTX that nobody changes may be used by several threads at once (OpenSSL counts references atomically).
final class TLSContext: @unchecked Sendable {
    enum Role: Sendable {
        case client
        case server
    }

    let role: Role
    let handle: OpaquePointer
    /// Seconds from the making of the context until our certificate expires.
    private(set) var secondsUntilExpiry: Int?
    let revoked: RevocationList

    /// - Throws: `HTTP2Error` with code `tls`: which file, and what is wrong with it.
    init(_ role: Role, _ material: TLSMaterial) throws(HTTP2Error) {
        self.role = role
        revoked = try Self.revoked(material.revoked)
        let method = unsafe role == .server ? TLS_server_method() : TLS_client_method()
        guard let handle = unsafe SSL_CTX_new(method) else {
            throw HTTP2Error(.tls, "OpenSSL cannot make a context: \(TLSErrorQueue.drain() ?? "out of memory")")
        }
        unsafe self.handle = handle
        // All properties are set: from here on a failure frees the context.
        switch (role, material.certificate, material.authority) {
        case (.server, nil, _): throw HTTP2Error(.tls, "a TLS listener needs a certificate and its key")
        case (.client, _, nil): throw HTTP2Error(.tls, "a TLS client needs an authority to verify servers with")
        default: break
        }
        if let certificate = material.certificate, let key = material.key {
            secondsUntilExpiry = try unsafe Self.use(certificate, key, in: handle)
        }
        if let authority = material.authority { try unsafe Self.trust(authority, role, in: handle) }
        try unsafe Self.restrict(handle, role)
    }

    deinit {
        unsafe SSL_CTX_free(handle)
    }

    private static func revoked(_ file: TLSMaterial.File?) throws(HTTP2Error) -> RevocationList {
        guard let file else { return RevocationList() }
        do throws(RevocationListError) {
            return try RevocationList(parsing: String(decoding: file.bytes, as: UTF8.self))
        } catch {
            throw HTTP2Error(.tls, "\(file.path): \(error)")
        }
    }

    private static func use(
        _ file: TLSMaterial.File,
        _ keyFile: TLSMaterial.File,
        in context: OpaquePointer
    ) throws(HTTP2Error) -> Int? {
        let chain = try Certificate.all(in: file)
        if let problem = chain[0].problemNow {
            throw HTTP2Error(.tls, "the certificate \(file.path) (\(chain[0].subject)) \(problem); renew it")
        }
        guard unsafe SSL_CTX_use_certificate(context, chain[0].handle) == 1 else {
            throw HTTP2Error(.tls, "\(file.path): \(TLSErrorQueue.drain() ?? "the certificate is refused")")
        }
        for intermediate in chain.dropFirst() {
            guard unsafe groot_ssl_ctx_add_chain_certificate(context, intermediate.handle) == 1 else {
                throw HTTP2Error(.tls, "\(file.path): \(TLSErrorQueue.drain() ?? "the chain is refused")")
            }
        }
        let bio = try MemoryBIO(keyFile.bytes)
        // A pass phrase cannot be asked for: the callback refuses.
        guard let key = unsafe PEM_read_bio_PrivateKey(bio.handle, nil, { _, _, _, _ in -1 }, nil) else {
            let why = TLSErrorQueue.drain(ignoringEndOfFile: true)
            throw HTTP2Error(
                .tls,
                "\(keyFile.path) holds no PEM private key without a pass phrase" + (why.map { ": \($0)" } ?? "")
            )
        }
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe X509_check_private_key(chain[0].handle, key) == 1 else {
            _ = TLSErrorQueue.drain()
            throw HTTP2Error(.tls, "the key \(keyFile.path) does not belong to the certificate \(file.path)")
        }
        guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1 else {
            throw HTTP2Error(.tls, "\(keyFile.path): \(TLSErrorQueue.drain() ?? "the key is refused")")
        }
        return chain[0].secondsUntilExpiry
    }

    private static func trust(_ file: TLSMaterial.File, _ role: Role, in context: OpaquePointer) throws(HTTP2Error) {
        let authorities = try Certificate.all(in: file)
        let store = unsafe SSL_CTX_get_cert_store(context)
        for authority in authorities {
            if let problem = authority.problemNow {
                throw HTTP2Error(.tls, "the authority \(file.path) (\(authority.subject)) \(problem); renew it")
            }
            guard unsafe X509_STORE_add_cert(store, authority.handle) == 1 else {
                throw HTTP2Error(.tls, "\(file.path): \(TLSErrorQueue.drain() ?? "the authority is refused")")
            }
            if role == .server { unsafe SSL_CTX_add_client_CA(context, authority.handle) }
        }
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    }

    /// TLS 1.2 and later, the suites that HTTP/2 allows, ALPN h2 only, no renegotiation, no resumption: a resumed
    /// session would carry a certificate that was verified with yesterday's authority.
    private static func restrict(_ context: OpaquePointer, _ role: Role) throws(HTTP2Error) {
        let suites =
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
            + "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
        let accepted =
            unsafe groot_ssl_ctx_set_min_proto_version(context, TLS1_2_VERSION) == 1
            && SSL_CTX_set_cipher_list(context, suites) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1
        guard accepted else {
            throw HTTP2Error(.tls, "OpenSSL refuses the TLS rules: \(TLSErrorQueue.drain() ?? "unknown")")
        }
        unsafe groot_ssl_ctx_no_session_cache(context)
        unsafe groot_ssl_ctx_restrict(context)
        // Buffers of idle connections go back to the heap: 34 kB each.
        unsafe groot_ssl_ctx_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        switch role {
        case .server:
            unsafe SSL_CTX_set_alpn_select_cb(
                context,
                { _, chosen, chosenLength, offered, offeredLength, _ in
                    unsafe TLSContext.selectH2(chosen, chosenLength, offered, offeredLength)
                },
                nil
            )
        case .client:
            guard unsafe SSL_CTX_set_alpn_protos(context, Self.h2, UInt32(Self.h2.count)) == 0 else {
                throw HTTP2Error(.tls, "OpenSSL refuses ALPN h2")
            }
        }
    }

    private static let h2: [UInt8] = [2, UInt8(ascii: "h"), UInt8(ascii: "2")]

    /// Picks h2 from the client's list, or ends the handshake with no_application_protocol.
    private static func selectH2(
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ chosenLength: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?,
        _ offeredLength: UInt32
    ) -> Int32 {
        guard let offered = unsafe offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        var offset = 0
        while offset < Int(offeredLength) {
            let length = Int(unsafe offered[offset])
            guard offset + 1 + length <= Int(offeredLength) else { break }
            if length == 2, unsafe offered[offset + 1] == h2[1], unsafe offered[offset + 2] == h2[2] {
                unsafe chosen?.pointee = offered + offset + 1
                unsafe chosenLength?.pointee = 2
                return SSL_TLSEXT_ERR_OK
            }
            offset += 1 + length
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
