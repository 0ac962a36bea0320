/// The text of `grpc-message`: percent-encoded, and short enough for every client, whoever wrote it. Pure.
enum GRPCMessage {
    /// Encoded bytes at most; clients throw away metadata beyond 8 kB, and with it the status.
    static let limit = 1024

    /// Keeps printable ASCII but for the percent sign; everything else as UTF-8 bytes, each %XX. A text that is too long
    /// ends with how much is missing.
    static func encode(_ text: String) -> String {
        let encoded = encoded(text)
        return encoded.utf8.count <= limit ? encoded : clipped(text)
    }

    /// What somebody else sent, as it may be passed on: the same when it is within bounds.
    static func passedOn(_ message: String) -> String {
        if message.utf8.count <= limit, message.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return message }
        return encode(decode(message))
    }

    /// Undoes `encode`; a percent sign that encodes nothing stands for itself, bytes that are no UTF-8 are replaced.
    static func decode(_ message: String) -> String {
        guard message.utf8.contains(UInt8(ascii: "%")) else { return message }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.utf8.count)
        var rest = message.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hex),
                let low = rest.dropFirst().first.flatMap(hex)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(high << 4 | low)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whole characters from the front, and how many bytes of the text are missing.
    private static func clipped(_ text: String) -> String {
        let room = limit - 48
        var kept = ""
        var used = 0
        for character in text.unicodeScalars {
            let piece = encoded(String(character))
            guard used + piece.utf8.count <= room else { break }
            used += piece.utf8.count
            kept += piece
        }
        return kept + encoded("… and \(text.utf8.count - decode(kept).utf8.count) more bytes")
    }

    private static func encoded(_ text: String) -> String {
        var encoded = ""
        encoded.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return encoded
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
