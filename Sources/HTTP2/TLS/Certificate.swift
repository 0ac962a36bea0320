import COpenSSL
import GrootCore

/// The only owner of one reference to an `X509`, given back in `deinit`. Used on the thread that made it.
@safe
final class Certificate {
    let handle: OpaquePointer

    /// Takes over the caller's reference.
    init(owning handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    deinit {
        unsafe X509_free(handle)
    }

    /// All certificates of a PEM file, in order.
    ///
    /// - Throws: `HTTP2Error` with code `tls` that names the file.
    static func all(in file: TLSMaterial.File) throws(HTTP2Error) -> [Certificate] {
        let bio = try MemoryBIO(file.bytes)
        var certificates: [Certificate] = []
        while let certificate = unsafe PEM_read_bio_X509(bio.handle, nil, nil, nil) {
            certificates.append(unsafe Certificate(owning: certificate))
        }
        // Reading ends with "no start line", which is no error after the first certificate.
        let problem = TLSErrorQueue.drain(ignoringEndOfFile: true)
        guard problem == nil, !certificates.isEmpty else {
            throw HTTP2Error(.tls, "\(file.path) holds no PEM certificate" + (problem.map { ": \($0)" } ?? ""))
        }
        return certificates
    }

    /// Seconds from now until it expires (negative: since it did); nil when the certificate does not say.
    var secondsUntilExpiry: Int? { unsafe seconds(until: X509_get0_notAfter(handle)) }

    /// Why it is not valid at this time, or nil.
    var problemNow: String? {
        if let left = secondsUntilExpiry, left < 0 { return "expired \(Self.ago(-left))" }
        if let start = unsafe seconds(until: X509_get0_notBefore(handle)), start > 0 {
            return "is not valid yet (for \(start) s more); is the clock right?"
        }
        return nil
    }

    var subject: String {
        guard let bio = try? MemoryBIO([]) else { return "" }  // out of memory: a log line without the subject
        guard unsafe X509_NAME_print_ex(bio.handle, X509_get_subject_name(handle), 0, groot_name_format) >= 0 else {
            return ""
        }
        return String(decoding: bio.contents, as: UTF8.self)
    }

    /// Serial number as `RevocationList` writes it.
    var serial: String {
        guard let number = unsafe ASN1_INTEGER_to_BN(X509_get0_serialNumber(handle), nil) else { return "" }
        defer { unsafe BN_free(number) }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Int(unsafe BN_num_bits(number) + 7) / 8) {
            buffer,
            filled in
            filled = Int(unsafe BN_bn2bin(number, buffer.baseAddress))
        }
        return RevocationList.hexadecimal(bytes)
    }

    /// The one `groot://` URI among the alternative names.
    var identity: PeerIdentity? {
        guard let names = unsafe groot_names(handle) else { return nil }
        defer { unsafe groot_names_free(names) }
        var uris: [String] = []
        for index in 0..<(unsafe groot_names_count(names)) {
            var bytes: UnsafePointer<UInt8>?
            let count = unsafe groot_names_uri(names, index, &bytes)
            guard count >= 0 else { continue }
            unsafe uris.append(String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self))
        }
        return PeerIdentity(subjectAlternativeURIs: uris)
    }

    private func seconds(until time: UnsafePointer<ASN1_TIME>?) -> Int? {
        guard let time = unsafe time else { return nil }
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard unsafe ASN1_TIME_diff(&days, &seconds, nil, time) == 1 else { return nil }
        return Int(days) * 86_400 + Int(seconds)
    }

    private static func ago(_ seconds: Int) -> String {
        seconds < 86_400 ? "\(seconds / 60) minutes ago" : "\(seconds / 86_400) days ago"
    }
}

/// The only owner of a memory `BIO`.
@safe
final class MemoryBIO {
    let handle: OpaquePointer

    init(_ bytes: [UInt8]) throws(HTTP2Error) {
        guard let handle = unsafe BIO_new(BIO_s_mem()) else { throw HTTP2Error(.tls, "OpenSSL is out of memory") }
        unsafe self.handle = handle
        guard !bytes.isEmpty else { return }
        let written = unsafe BIO_write(handle, bytes, Int32(bytes.count))
        guard written == bytes.count else { throw HTTP2Error(.tls, "OpenSSL is out of memory") }
    }

    deinit {
        unsafe BIO_free(handle)
    }

    var contents: [UInt8] {
        let count = unsafe BIO_ctrl_pending(handle)
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = max(0, Int(unsafe BIO_read(handle, buffer.baseAddress, Int32(count))))
        }
    }
}

/// OpenSSL's error queue of this thread, as text.
enum TLSErrorQueue {
    /// Empties the queue; nil when nothing was in it.
    static func drain(ignoringEndOfFile: Bool = false) -> String? {
        var texts: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            if ignoringEndOfFile, groot_err_reason(code) == PEM_R_NO_START_LINE { continue }
            texts.append(
                unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) } ?? "OpenSSL error \(code)"
            )
        }
        return texts.isEmpty ? nil : texts.joined(separator: ", ")
    }
}
