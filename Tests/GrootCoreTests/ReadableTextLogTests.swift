import Testing

@testable import GrootCore

struct ReadableTextLogTests {
    @Test(arguments: [
        ("short", "short"), ("", ""), ("100%25", "100%"), ("K%C3%BChler %E2%80%A6", "Kühler …"),
        ("a%0Ab%1B[31mc", "a b [31mc"),
        ("50% of", "50% of"), ("%", "%"), ("%4", "%4"), ("%zz%+1", "%zz%+1"), ("%FF", "\u{FFFD}"), ("a\tb", "a b"),
    ])
    func messagesAreDecodedForPeople(_ sent: String, _ shown: String) {
        #expect(ReadableText.decoded(sent) == shown)
    }

    @Test(arguments: [0, 1, 1023, 1024, 1025, 200_000])
    func longTextsAreClippedAndTheRestCounted(_ count: Int) {
        for letter in ["x", "ü", "👩‍🚀"] {
            let text = String(repeating: letter, count: count)
            let shown = ReadableText.logged(text)
            if count <= ReadableText.logCharacters {
                #expect(shown == text)
            } else {
                #expect(shown.hasSuffix("… and \(count - ReadableText.logCharacters) more"))
                #expect(shown.count < ReadableText.logCharacters + 24)
            }
        }
    }

    @Test
    func aHugeMessageCostsItsLimitOnly() {
        let shown = ReadableText.decoded(String(repeating: "%41", count: 1 << 20))
        #expect(shown.hasPrefix("AAAA") && shown.count < ReadableText.logCharacters + 40)
    }
}
