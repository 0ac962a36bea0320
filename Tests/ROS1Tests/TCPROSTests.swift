import NIOCore
import Testing

@testable import ROS1

@Suite("TCPROS framing")
struct TCPROSTests {
    @Test("a connection header survives a round trip, values with equals signs included")
    func header() throws {
        let header = ConnectionHeader(["topic": "/t", "message_definition": "int8 a=1\nint8 b\n", "error": ""])
        var frame = header.framed()
        let length = frame.readInteger(endianness: .little, as: UInt32.self)
        #expect(length.map(Int.init) == frame.readableBytes)
        #expect(try ConnectionHeader(from: frame) == header)
        #expect(throws: ROSError.self) { try ConnectionHeader(from: ByteBuffer(bytes: [3, 0, 0, 0, 97, 98, 99])) }
        #expect(throws: ROSError.self) { try ConnectionHeader(from: ByteBuffer(bytes: [255, 255, 255, 255])) }
    }

    @Test("frames come out whole however the bytes are cut")
    func cuts() throws {
        let bytes: [UInt8] = [1, 0, 0, 0, 9, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0]
        var decoder = FrameDecoder(.messages)
        var buffer = ByteBuffer()
        var bodies: [[UInt8]] = []
        for byte in bytes {
            buffer.writeInteger(byte)
            while let frame = try decoder.next(from: &buffer) { bodies.append([UInt8](buffer: frame.body)) }
        }
        #expect(bodies == [[9], [1, 2, 3], []])
    }

    @Test("service replies carry an ok byte behind the header")
    func replies() throws {
        var decoder = FrameDecoder(.serviceReplies)
        var buffer = ByteBuffer(bytes: [0, 0, 0, 0, 1, 1, 0, 0, 0, 7, 0, 2, 0, 0, 0, 104, 105])
        #expect(try decoder.next(from: &buffer)?.isOK == true)
        #expect(try decoder.next(from: &buffer)?.body == ByteBuffer(bytes: [7]))
        let failure = try #require(try decoder.next(from: &buffer))
        #expect(!failure.isOK && String(buffer: failure.body) == "hi")
    }

    @Test("lengths beyond the limits end the connection")
    func limits() throws {
        var decoder = FrameDecoder(.messages)
        var header = ByteBuffer(integer: UInt32(ConnectionHeader.maximumBytes + 1), endianness: .little)
        #expect(throws: ROSError.self) { try decoder.next(from: &header) }
        var opened = FrameDecoder(.messages)
        var buffer = ByteBuffer(bytes: [0, 0, 0, 0])
        _ = try opened.next(from: &buffer)
        buffer.writeInteger(UInt32(FrameDecoder.maximumBodyBytes + 1), endianness: .little)
        #expect(throws: ROSError.self) { try opened.next(from: &buffer) }
    }

    @Test("a publisher refuses what does not fit, a subscriber accepts the variants it knows")
    func matching() throws {
        let offer = TopicOffer(
            topic: "/t",
            type: "a/B",
            md5: "m1",
            definition: "",
            isLatched: false,
            queueCapacity: 1
        )
        let sender = TopicSender(offer: offer, metrics: nil)
        #expect(try sender.reply(to: ConnectionHeader(["md5sum": "*"]), callerID: "/n")["md5sum"] == "m1")
        #expect(throws: ROSError.self) { try sender.reply(to: ConnectionHeader(["md5sum": "m2"]), callerID: "/n") }
        #expect(throws: ROSError.self) { try sender.reply(to: ConnectionHeader([:]), callerID: "/n") }
        #expect(throws: ROSError.self) {
            try sender.reply(to: ConnectionHeader(["md5sum": "*", "type": "a/C"]), callerID: "/n")
        }
        let demand = TopicDemand(topic: "/t", type: "a/B", acceptedMD5s: ["m1", "m0"]) { _, _ in }
        #expect(throws: ROSError.self, "an unknown fingerprint: nobody knows what the bytes mean") {
            try demand.check(ConnectionHeader(["type": "a/B", "md5sum": "m9", "callerid": "/p"]))
        }
        #expect(try demand.check(ConnectionHeader(["type": "a/B", "md5sum": "m0"])).md5 == "m0")
        #expect(throws: ROSError.self) { try demand.check(ConnectionHeader(["type": "b/B", "md5sum": "m0"])) }
        #expect(throws: ROSError.self) { try demand.check(ConnectionHeader(["type": "b/B", "md5sum": "m9"])) }
        #expect(throws: ROSError.self) { try demand.check(ConnectionHeader(["error": "no"])) }
    }
}
