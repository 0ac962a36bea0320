/// Certificates that are refused although their authority signed them and they have not expired.
///
/// The file has one serial number a line in hexadecimal; what follows it, and everything behind `#`, is for people.
/// `groot-gateway certs revoke` writes it. Processes read it again when it changes; a file that cannot be read
/// or parsed keeps the last good list in force, and at the start it is an error: a typing mistake must not let a
/// stolen certificate in.
///
///     # serial                                  identity   when
///     3f0c12...  groot://robot/r3  2026-11-24T15:00:00Z
package struct RevocationList: Sendable, Equatable {
    /// In the form of `normalised(serial:)`.
    package private(set) var serials: Set<String> = []

    package init() {}

    /// - Throws: `RevocationListError` with the line that is no serial number.
    package init(parsing text: String) throws(RevocationListError) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }
            guard let word = content.split(whereSeparator: \.isWhitespace).first else { continue }
            guard let serial = Self.normalised(serial: String(word)) else {
                throw RevocationListError(line: index + 1, text: String(word))
            }
            serials.insert(serial)
        }
    }

    /// - Parameter serial: hexadecimal in either case, with or without colons and leading zeros, as OpenSSL prints it.
    package func contains(serial: String) -> Bool {
        Self.normalised(serial: serial).map(serials.contains) ?? false
    }

    /// - Parameter serialBytes: big-endian bytes as they stand in the certificate.
    package func contains(serialBytes: some Sequence<UInt8>) -> Bool {
        serials.contains(Self.hexadecimal(serialBytes))
    }

    /// Lower case, no colons, no leading zeros; nil when it is no hexadecimal number of at most 20 bytes.
    package static func normalised(serial: String) -> String? {
        let digits = serial.lowercased().filter { $0 != ":" }
        guard !digits.isEmpty, digits.utf8.count <= 42, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            return nil
        }
        let significant = digits.drop { $0 == "0" }
        return significant.isEmpty ? "0" : String(significant)
    }

    /// The same form from big-endian bytes.
    package static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        let significant = digits.drop { $0 == "0" }
        return significant.isEmpty ? "0" : String(significant)
    }
}

/// A line of the list that is no serial number.
package struct RevocationListError: Error, Equatable, CustomStringConvertible {
    package var line: Int
    package var text: String

    package init(line: Int, text: String) {
        self.line = line
        self.text = text
    }

    package var description: String {
        "line \(line): \"\(text)\" is no serial number; expected hexadecimal digits, as `certs revoke` writes them"
    }
}
