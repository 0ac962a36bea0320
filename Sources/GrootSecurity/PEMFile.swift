import Foundation

/// Finds certificates and keys in PEM files wherever they stand: behind text, behind each other, behind the parameters of
/// a curve, as `openssl pkcs12` and HAProxy write them. A value; reads a file once.
struct PEMFile {
    /// A bundle of all public authorities has 250 kB.
    static let maximumBytes = 4 << 20

    private struct Block {
        var label: String
        var lines: [Substring]

        /// OpenSSL's own form of encryption keeps the plain label and says it in a header.
        var isEncrypted: Bool {
            label == "ENCRYPTED PRIVATE KEY"
                || lines.contains { $0.hasPrefix("Proc-Type:") && $0.contains("ENCRYPTED") }
        }

        var text: String {
            "-----BEGIN \(label)-----\n" + lines.map { $0 + "\n" }.joined() + "-----END \(label)-----\n"
        }
    }

    private static let keyLabels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]

    private let path: String
    private let blocks: [Block]

    /// - Throws: `badFile` when it cannot be read or is no PEM file by its size.
    init(_ path: String) throws(TLSError) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw TLSError(.badFile, "cannot read \(path)", cause: error)
        }
        guard data.count <= Self.maximumBytes else {
            throw TLSError(.badFile, "\(path) has \(data.count) bytes, a PEM file at most \(Self.maximumBytes)")
        }
        self.init(path, text: String(decoding: data, as: UTF8.self))
    }

    init(_ path: String, text: String) {
        self.path = path
        var blocks: [Block] = []
        var open: Block?
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace).trimmingSuffix(while: \.isWhitespace)
            if let label = Self.label(line, "BEGIN") {
                // A block without an end is none; the next one counts.
                open = Block(label: label, lines: [])
            } else if let label = Self.label(line, "END") {
                if let block = open, block.label == label { blocks.append(block) }
                open = nil
            } else {
                open?.lines.append(line)
            }
        }
        self.blocks = blocks
    }

    /// All certificates, in their order, as PEM of nothing else.
    func certificates() throws(TLSError) -> [UInt8] {
        let found = blocks.filter { $0.label == "CERTIFICATE" }
        guard !found.isEmpty else { throw TLSError(.badFile, "\(path) holds no certificate in PEM\(seen)") }
        return Array(found.map(\.text).joined().utf8)
    }

    /// The first private key, as PEM of nothing else.
    func privateKey() throws(TLSError) -> [UInt8] {
        guard let key = blocks.first(where: { Self.keyLabels.contains($0.label) }) else {
            throw TLSError(.badFile, "\(path) holds no private key in PEM\(seen)")
        }
        guard !key.isEncrypted else {
            throw TLSError(
                .badFile,
                "the private key in \(path) has a pass phrase, which a service cannot type; take it off with openssl pkey"
            )
        }
        return Array(key.text.utf8)
    }

    /// What the file holds instead, for a message.
    private var seen: String {
        blocks.isEmpty ? "" : "; it holds \(Set(blocks.map(\.label)).sorted().joined(separator: ", "))"
    }

    private static func label(_ line: Substring, _ word: String) -> String? {
        guard line.hasPrefix("-----\(word) "), line.hasSuffix("-----"), line.utf8.count > word.utf8.count + 11 else {
            return nil
        }
        return String(line.dropFirst(word.count + 6).dropLast(5))
    }
}

extension Substring {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var rest = self
        while let last = rest.last, predicate(last) { rest.removeLast() }
        return rest
    }
}
