import GrootCore
import Testing

@Suite
struct ReadableTextTests {
    /// As gRPC writes a message into a header.
    private func encoded(_ text: String) -> Int {
        text.utf8.reduce(0) { $0 + ((0x20...0x7E).contains($1) && $1 != UInt8(ascii: "%") ? 1 : 3) }
    }

    @Test
    func `short clean text stays as it is`() {
        for text in ["", "a", "Expected: [\"a\"]. Got: []", "绿色的箱子", String(repeating: "x", count: 1024), "100 %"] {
            #expect(ReadableText.clipped(text) == text)
        }
    }

    @Test(arguments: ["x", "ä", "绿", "🙂", "%", "a\u{1B}[31m", "\n"], [1025, 15_000, 200_000])
    func `long text ends in time, whatever it is made of`(piece: String, count: Int) {
        let clipped = ReadableText.clipped(String(repeating: piece, count: count))
        #expect(encoded(clipped) <= ReadableText.statusBytes)
        #expect(encoded(clipped) > ReadableText.statusBytes - 40)
        #expect(clipped.hasSuffix("\u{2026}"))
    }

    @Test(arguments: ["\u{1B}[31mred", "a\r\nb", "a\u{0}b", "a\u{202E}b", "a\u{2028}b", "a\u{9B}b", "\u{7F}"])
    func `what is no text becomes a space`(text: String) {
        let clipped = ReadableText.clipped(text)
        #expect(clipped.unicodeScalars.count == text.unicodeScalars.count)
        #expect(clipped.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control && $0 != "\u{202E}" })
    }

    @Test
    func `lists say how many are left out`() {
        #expect(ReadableText.list([String]()) == "[]")
        #expect(ReadableText.list(["a", "b"]) == "[\"a\", \"b\"]")
        let many = ReadableText.list((0..<2000).map { "joint_\($0)" })
        let shown = many.split(separator: "\"").count(where: { $0.hasPrefix("joint_") })
        #expect(many.hasSuffix(", \u{2026} and \(2000 - shown) more]"), "\(many)")
        #expect(encoded(many) < ReadableText.listBytes + 60)
        let long = ReadableText.list([String(repeating: "n", count: 100_000)])
        #expect(encoded(long) <= 2 * ReadableText.nameBytes, "\(long)")
    }

    @Test
    func `instants saturate`() {
        let now = MonotonicInstant(nanoseconds: 1_000)
        #expect((now + .seconds(99_999_999 * 3600)).nanoseconds == .max)
        let past = MonotonicInstant(nanoseconds: -1_000)
        #expect(past.advanced(by: .seconds(-99_999_999 * 3600)).nanoseconds == .min)
        #expect(MonotonicInstant(nanoseconds: .max) - MonotonicInstant(nanoseconds: -5) == .nanoseconds(Int64.max))
        #expect(MonotonicInstant(nanoseconds: .min) - now == .nanoseconds(Int64.min))
    }
}
