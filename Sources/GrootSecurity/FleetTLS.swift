import Foundation
package import GRPCNIOTransportHTTP2
package import GrootCore
package import Logging
import NIOCertificateReloading
import NIOCore
import NIOSSL
import ServiceLifecycle
import SwiftASN1
import Synchronization
import X509

/// TLS of one gRPC process, both ways authenticated, for its listener and its connections to others.
///
/// `run` looks at the files again and again: a renewed certificate, a changed authority and a longer deny list hold
/// for every connection made from then on. What grpc-swift's transport does not permit: a connection that is open
/// stays open although its peer was revoked meanwhile (restart the process to cut it), and the list of
/// acceptable authorities that the handshake mentions to peers stays the one of the start.
///
/// Any thread; what changes lies behind one mutex.
package final class FleetTLS: Service {
    /// What the files held at the start, as PEM of nothing else.
    private struct Material {
        var chain: [UInt8]
        var key: [UInt8]
        var authority: [UInt8]

        init(_ files: TLSFiles) throws(TLSError) {
            chain = try PEMFile(files.certificate).certificates()
            key = try PEMFile(files.key).privateKey()
            authority = try PEMFile(files.authority).certificates()
        }
    }

    private let files: TLSFiles
    private let first: Material
    private let interval: Duration
    private let reloader: TimedCertificateReloader
    private let verifier: Mutex<PeerVerifier>
    private let expiry: Gauge
    private let refused: GrootCore.Counter
    private let logger: Logger

    /// - Parameter process: middle of the metric names, e.g. `worker`.
    /// - Throws: `TLSError` that names the file.
    package init(
        _ files: TLSFiles,
        reloadEvery interval: Duration,
        process: String,
        metrics: MetricsRegistry,
        logger: Logger
    ) throws(TLSError) {
        self.files = files
        self.interval = interval
        self.logger = logger
        expiry = metrics.gauge(
            "groot_\(process)_certificate_expiry_timestamp_seconds",
            help: "When the certificate that new connections get expires (Unix time)."
        )
        refused = metrics.counter(
            "groot_\(process)_refused_peers_total",
            help: "Connections refused because of the peer's certificate."
        )
        first = try Material(files)
        verifier = Mutex(try Self.loadVerifier(files))
        let expiry = expiry
        do {
            reloader = try TimedCertificateReloader.makeReloaderValidatingSources(
                configuration: .init(
                    refreshInterval: interval,
                    // Read again at every look, and wherever in their files they stand.
                    certificateSource: .init(
                        location: .memory { try PEMFile(files.certificate).certificates() },
                        format: .pem
                    ),
                    privateKeySource: .init(location: .memory { try PEMFile(files.key).privateKey() }, format: .pem)
                ) { [logger] configuration in
                    configuration.onCertificateLoaded = { diff in
                        guard let leaf = diff.currentX509CertificateChain.first else { return }
                        expiry.set(leaf.notValidAfter.timeIntervalSince1970)
                        guard let old = diff.previousX509CertificateChain?.first, old != leaf else { return }
                        logger.notice("certificate renewed", metadata: ["peer": "\(leaf.subject)"])
                    }
                    configuration.onCertificateLoadFailed = { failure in
                        logger.warning(
                            "the certificate files cannot be used; the ones before stay in use",
                            metadata: ["error": "\(failure.error)"]
                        )
                    }
                }
            )
        } catch {
            throw TLSError(
                .badFile,
                "the certificate \(files.certificate) and the key \(files.key) cannot be used",
                cause: error
            )
        }
        guard Date(timeIntervalSince1970: expiry.value) > Date() else {
            throw TLSError(.badFile, "the certificate \(files.certificate) has expired; renew it")
        }
    }

    /// Looks at the files every interval until it is cancelled or drained.
    package func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                while true {
                    try await Task.sleep(for: self.interval)
                    self.reload()
                }
            }
        } catch is CancellationError {}
    }

    /// For the listener: clients show a certificate of one of `kinds`, or the handshake fails.
    package func server(accepting kinds: Set<PeerIdentity.Kind>) -> HTTP2ServerTransport.Posix.TransportSecurity {
        .mTLS(certificateChain: [chainSource], privateKey: keySource) { config in
            config.certificateReloader = self.reloader
            config.trustRoots = .certificates([.bytes(self.first.authority, format: .pem)])
            config.requireALPN = true
            config.customVerificationCallback = self.callback(.init(kinds: kinds, host: nil))
        }
    }

    /// For connections to `host`, whose certificate must be of one of `kinds` and carry that name or address.
    package func client(
        to host: String?,
        expecting kinds: Set<PeerIdentity.Kind>
    ) -> HTTP2ClientTransport.Posix.TransportSecurity {
        .mTLS(certificateChain: [chainSource], privateKey: keySource) { config in
            config.certificateReloader = self.reloader
            config.trustRoots = .certificates([.bytes(self.first.authority, format: .pem)])
            config.customVerificationCallback = self.callback(.init(kinds: kinds, host: host))
        }
    }

    // The reloader's pair is what connections get; these are what a transport is made with.
    private var chainSource: TLSConfig.CertificateSource { .bytes(first.chain, format: .pem) }
    private var keySource: TLSConfig.PrivateKeySource { .bytes(first.key, format: .pem) }

    private func callback(
        _ expectation: PeerVerifier.Expectation
    ) -> @Sendable ([NIOSSLCertificate], EventLoopPromise<NIOSSLVerificationResultWithMetadata>) -> Void {
        { [self] presented, promise in
            promise.completeWithTask { await self.verify(presented, expectation) }
        }
    }

    private func verify(
        _ presented: [NIOSSLCertificate],
        _ expectation: PeerVerifier.Expectation
    ) async -> NIOSSLVerificationResultWithMetadata {
        let current = verifier.withLock { $0 }
        do {
            let chain = try presented.map { try Certificate(derEncoded: try $0.toDERBytes()) }
            switch await current.verify(chain, expectation) {
            case .success(let peer):
                let validated = try peer.chain.map {
                    var serializer = DER.Serializer()
                    try $0.serialize(into: &serializer)
                    return try NIOSSLCertificate(bytes: serializer.serializedBytes, format: .der)
                }
                return .certificateVerified(VerificationMetadata(ValidatedCertificateChain(validated)))
            case .failure(let refusal):
                refused.increment()
                logger.warning("peer refused", metadata: ["error": "\(refusal)"])
            }
        } catch {
            refused.increment()
            logger.warning("peer refused", metadata: ["error": "its certificate cannot be read: \(error)"])
        }
        return .failed
    }

    /// A file that cannot be used leaves what was known before in force.
    private func reload() {
        // What is wrong with the pair is logged where it is noticed; the old pair stays.
        try? reloader.reload()
        do throws(TLSError) {
            let fresh = try Self.loadVerifier(files)
            verifier.withLock { $0 = fresh }
        } catch {
            logger.warning("the TLS files cannot be used; the ones before stay in use", metadata: ["error": "\(error)"])
        }
    }

    private static func loadVerifier(_ files: TLSFiles) throws(TLSError) -> PeerVerifier {
        let authorities: [Certificate]
        let text = String(decoding: try PEMFile(files.authority).certificates(), as: UTF8.self)
        do {
            authorities = try PEMDocument.parseMultiple(pemString: text).map { try Certificate(pemDocument: $0) }
        } catch {
            throw TLSError(.badFile, "the authority \(files.authority) is no certificate in PEM", cause: error)
        }
        guard let path = files.revoked else { return PeerVerifier(authorities: authorities) }
        do {
            return PeerVerifier(authorities: authorities, revoked: try RevocationList(parsing: try Self.text(path)))
        } catch let error as TLSError {
            throw error
        } catch {
            throw TLSError(.badFile, "the deny list \(path)", cause: error)
        }
    }

    private static func text(_ path: String) throws(TLSError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw TLSError(.badFile, "cannot read \(path)", cause: error)
        }
    }
}
