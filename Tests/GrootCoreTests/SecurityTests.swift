import Testing

@testable import GrootCore

struct PeerIdentityTests {
    @Test(arguments: ["groot://robot/r1", "groot://worker/gpu-7.lab_2", "groot://gateway/g", "groot://operator/anna"])
    func aURIOfThisFleetIsAnIdentity(uri: String) {
        #expect(PeerIdentity(uri: uri)?.uri == uri)
    }

    @Test(arguments: [
        "", "groot://robot", "groot://robot/", "groot://robot/a/b", "groot://admin/a", "http://robot/r1",
        "GROOT://robot/r1", "groot://robot/..", "groot://robot/-r", "groot://robot/a b", "groot://robot/r1\n",
        "groot://robot/r\u{e9}", "groot://robot/" + String(repeating: "x", count: 65),
    ])
    func anythingElseIsNot(uri: String) {
        #expect(PeerIdentity(uri: uri) == nil)
    }

    @Test func aCertificateSpeaksForOneNameOnly() {
        #expect(
            PeerIdentity(subjectAlternativeURIs: ["spiffe://a/b", "groot://robot/r1"])
                == PeerIdentity(.robot, "r1")
        )
        #expect(PeerIdentity(subjectAlternativeURIs: ["groot://robot/r1", "groot://robot/r2"]) == nil)
        #expect(PeerIdentity(subjectAlternativeURIs: []) == nil)
    }
}

struct RevocationListTests {
    @Test func serialsMatchHoweverTheyAreWritten() throws {
        let list = try RevocationList(
            parsing: "# serial identity when\n\n00AB:0C  groot://robot/r3 2026-11-24 # stolen\n  7f\r\n"
        )
        #expect(list.serials == ["ab0c", "7f"])
        #expect(list.contains(serial: "AB0C"))
        #expect(list.contains(serial: "00:ab:0c"))
        #expect(list.contains(serialBytes: [0, 0xAB, 0x0C]))
        #expect(!list.contains(serialBytes: [0xAB]))
        #expect(!list.contains(serial: "not hex"))
    }

    @Test func aLineThatIsNoSerialIsAnErrorAndNotSkipped() {
        #expect(throws: RevocationListError(line: 2, text: "r3")) {
            try RevocationList(parsing: "7f\nr3\n")
        }
        #expect(throws: RevocationListError.self) {
            try RevocationList(parsing: String(repeating: "a", count: 43))
        }
    }
}
