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
}
