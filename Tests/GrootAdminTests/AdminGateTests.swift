import Testing

@testable import GrootAdmin

struct AdminGateTests {
    private let gate = AdminGate(configured: "gw.lab", machine: "Robot7", further: "metrics.example, second.example.")

    /// Every way to write whom one means, and whether it can be meant.
    @Test(arguments: [
        ("127.0.0.1:8081", true), ("127.0.0.1", true), ("10.0.0.9:1", true), ("[::1]:8081", true),
        ("[fe80::1%25eth0]:1", true),
        ("localhost:8081", true), ("LOCALHOST", true), ("localhost.", true), ("gw.lab:8081", true), ("robot7", true),
        ("metrics.example", true), ("SECOND.example:99", true),
        ("attacker.example", false), ("127.0.0.1.attacker.example", false), ("localhost.attacker.example", false),
        ("attacker.example:8081", false), ("robot7.attacker.example", false), ("1.2.3", false), ("1.2.3.4.5", false),
        ("256.0.0.1", false), ("0x7f.0.0.1", false), ("2130706433", false), ("", false), (":8081", false),
        ("[::1", false), ("[attacker.example]", false), ("::1", false), ("a b", false), ("1.2.3.4@attacker", false),
    ])
    func onlyKnownNamesAreAnswered(_ host: String, _ isAnswered: Bool) {
        #expect((gate.refusal(host: host, origin: nil) == nil) == isAnswered, "\(host)")
        if !isAnswered { #expect(gate.refusal(host: host, origin: nil)?.status == 421) }
    }

    @Test(arguments: [
        ("http://127.0.0.1:8081", true), ("https://127.0.0.1:8081", true),
        ("http://127.0.0.1", false), ("http://127.0.0.1:8082", false), ("http://attacker.example", false),
        ("null", false), ("", false), ("http://127.0.0.1:8081.attacker.example", false),
    ])
    func aForeignPageMayAskNothing(_ origin: String, _ isAnswered: Bool) {
        let refusal = gate.refusal(host: "127.0.0.1:8081", origin: origin)
        #expect((refusal == nil) == isAnswered)
        if !isAnswered { #expect(refusal?.status == 403) }
    }

    @Test
    func aClientWithoutHostIsNoBrowser() {
        #expect(gate.refusal(host: nil, origin: nil) == nil)
        #expect(gate.refusal(host: nil, origin: "http://x")?.status == 403)
    }

    @Test
    func whatAStrangerWroteIsShortAndPrintable() {
        let long = String(repeating: "x", count: 5000) + "\u{1B}[31m"
        let text = gate.refusal(host: "\u{1B}\"[2J" + long, origin: nil)?.text ?? ""
        #expect(text.count < 250)
        #expect(!text.contains("\u{1B}"))
    }
}
