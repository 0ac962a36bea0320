import GrootCore
import Testing

struct EndpointTests {
    @Test(arguments: [
        ("gpu1", Endpoint.tcp(host: "gpu1", port: 8090)),
        (" gpu1:9 ", .tcp(host: "gpu1", port: 9)),
        ("10.0.0.1:80", .tcp(host: "10.0.0.1", port: 80)),
        ("[::1]", .tcp(host: "::1", port: 8090)),
        ("[::1]:7", .tcp(host: "::1", port: 7)),
        ("unix:/run/groot.sock", .unix(path: "/run/groot.sock")),
    ])
    func parsesWhatUsersWrite(text: String, expected: Endpoint) throws {
        #expect(try Endpoint(parsing: text, defaultPort: 8090) == expected)
    }

    @Test(arguments: [
        "", "  ", ":80", "host:", "host:x", "host:70000", "::1", "[::1", "[::1]x", "unix:relative", "a b", "http://x",
    ])
    func refusesAndQuotesTheText(text: String) {
        let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: text, defaultPort: 1) }
        #expect(error?.description.contains("\"\(text)\"") == true)
    }

    @Test(arguments: ["gpu1:8090", "[::1]:7", "unix:/run/a.sock"])
    func printsWhatItWouldParse(text: String) throws {
        #expect(try Endpoint(parsing: text, defaultPort: 1).description == text)
    }

    @Test(arguments: [
        "127.0.0.1:1", "0.0.0.0", "255.255.255.255", "[::]", "[::1]:7", "[fe80::1%eth0]:7", "[2001:db8:0:0:0:0:0:1]",
        "[::ffff:10.0.0.1]", "[1:2:3:4:5:6:7::]", "unix:/run/a.sock",
    ])
    func listensOnAddresses(text: String) throws {
        let endpoint = try Endpoint(parsing: text, defaultPort: 1)
        #expect(try endpoint.listening() == endpoint)
    }

    @Test
    func localhostIsAnAddressToListenOn() throws {
        #expect(try Endpoint(parsing: "LocalHost:7", defaultPort: 1).listening() == .tcp(host: "127.0.0.1", port: 7))
    }

    @Test(arguments: [
        "gpu1", "gpu1.example.org:8090", "localhost.localdomain", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.",
        "+1.2.3.4", "[::1::]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7]", "[::g]", "[fe80::1%]", "[:]",
    ])
    func namesAreNothingToListenOn(text: String) {
        let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: text, defaultPort: 1).listening() }
        #expect(error != nil)
    }

    @Test
    func whoListensOnANameIsToldWhatToWrite() throws {
        let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: "gpu1", defaultPort: 8090).listening() }
        #expect(error?.description.contains("an address of this machine is needed, not a name") == true)
    }
}
