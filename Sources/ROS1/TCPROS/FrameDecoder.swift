import NIOCore

/// One length-prefixed unit of a TCPROS stream.
struct TCPROSFrame: Sendable {
    /// False only for a service reply that carries an error text.
    var isOK: Bool
    var body: ByteBuffer
}

/// Cuts a TCPROS stream into frames; the first one is the connection header.
///
/// Lives on its channel's event loop. A length beyond the limit is an error, which ends the connection.
struct FrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = TCPROSFrame

    /// Longest message body that is accepted, in bytes: four uncompressed 4K images.
    static let maximumBodyBytes = 128 << 20

    enum Stream {
        /// Each frame is a length and a body.
        case messages
        /// After the header each frame begins with one ok byte.
        case serviceReplies
    }

    private let stream: Stream
    private var headerSeen = false

    init(_ stream: Stream) {
        self.stream = stream
    }

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let frame = try next(from: &buffer) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(frame))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext,
        buffer: inout ByteBuffer,
        seenEOF: Bool
    ) throws -> DecodingState {
        try decode(context: context, buffer: &buffer)
    }

    /// Takes the next complete frame off the buffer, or nothing while bytes are missing.
    mutating func next(from buffer: inout ByteBuffer) throws(ROSError) -> TCPROSFrame? {
        var offset = buffer.readerIndex
        var isOK = true
        if headerSeen, stream == .serviceReplies {
            guard let byte = buffer.getInteger(at: offset, as: UInt8.self) else { return nil }
            isOK = byte != 0
            offset += 1
        }
        guard let length = buffer.getInteger(at: offset, endianness: .little, as: UInt32.self) else { return nil }
        let limit = headerSeen ? Self.maximumBodyBytes : ConnectionHeader.maximumBytes
        guard length <= limit else {
            throw ROSError(.tooLarge, "a frame of \(length) bytes exceeds the limit of \(limit) bytes")
        }
        let total = offset + 4 - buffer.readerIndex + Int(length)
        guard buffer.readableBytes >= total else { return nil }
        buffer.moveReaderIndex(forwardBy: total - Int(length))
        guard let body = buffer.readSlice(length: Int(length)) else { return nil }
        headerSeen = true
        return TCPROSFrame(isOK: isOK, body: body)
    }
}
