import NIOCore

/// One service of ours with its types erased: request bytes in, framed response body out.
struct ServiceEntry: Sendable {
    var name: String
    var type: String
    var md5: String
    var requestType: String
    var responseType: String
    var respond: @Sendable (ByteBuffer) async throws -> ByteBuffer

    /// The header that answers a client, or why it cannot call.
    func reply(to header: ConnectionHeader, callerID: String) throws(ROSError) -> ConnectionHeader {
        guard let wanted = header["md5sum"] else {
            throw ROSError(.malformed, "missing field [md5sum] in the connection header")
        }
        guard wanted == ConnectionHeader.wildcard || wanted == md5 else {
            throw ROSError(.typeMismatch, "service \(name) has md5sum \(md5) (\(type)), the client wants \(wanted)")
        }
        return ConnectionHeader([
            "callerid": callerID, "type": type, "md5sum": md5, "service": name, "request_type": requestType,
            "response_type": responseType,
        ])
    }

    /// A reply frame: ok byte, length, body.
    static func frame(isOK: Bool, body: ByteBuffer) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.reserveCapacity(5 + body.readableBytes)
        frame.writeInteger(UInt8(isOK ? 1 : 0))
        frame.writeInteger(UInt32(body.readableBytes), endianness: .little)
        frame.writeImmutableBuffer(body)
        return frame
    }
}
