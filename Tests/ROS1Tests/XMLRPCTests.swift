import NIOCore
import NIOPosix
import Testing

@testable import ROS1

@Suite("XML-RPC")
struct XMLRPCTests {
    static let nested = XMLRPCValue.structure([
        "a<b": .array([.int(-3), .bool(true), .double(0.1), .string(" <&>\" \r\n"), .array([]), .structure([:])]),
        "bytes": .bytes([0, 1, 254]), "when": .dateTime("20260101T00:00:00"), "": .string(""),
    ])

    @Test("documents survive a round trip")
    func roundTrip() throws {
        let documents: [XMLRPCDocument] = [
            .call(method: "registerPublisher", parameters: [.string("/n"), Self.nested]),
            .call(method: "getPid", parameters: []), .response(Self.nested),
            .fault(code: 4, message: "no <such> method"),
        ]
        for document in documents {
            #expect(try XMLRPCDocument(parsing: Array(document.encoded().utf8)) == document)
        }
    }

    @Test("bare text is a string and blanks around typed values are ignored")
    func foreignForms() throws {
        let text = """
            <?xml version='1.0'?><methodResponse><params><param>
            <value><array><data> <value><i4> 7 </i4></value>
            <value>plain text</value><value></value></data></array></value>
            </param></params></methodResponse>
            """
        let expected = XMLRPCValue.array([.int(7), .string("plain text"), .string("")])
        #expect(try XMLRPCDocument(parsing: Array(text.utf8)) == .response(expected))
    }

    @Test(
        "malformed documents are refused",
        arguments: [
            "", "hello", "<methodCall>", "<methodResponse></methodResponse>",
            "<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
            "<methodResponse><params><param><value><boolean>2</boolean></value></param></params></methodResponse>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><methodCall><methodName>&b;</methodName></methodCall>",
            String(repeating: "<value><array><data>", count: 100),
        ]
    )
    func malformed(text: String) {
        #expect { try XMLRPCDocument(parsing: Array(text.utf8)) } throws: { ($0 as? ROSError)?.code == .malformed }
    }

    @Test("a server answers calls, bundles and faults to a client")
    func clientAndServer() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await XMLRPCServer.start(host: "127.0.0.1", port: 0, group: group) {
            (method, parameters) throws(ROSError) in
            guard method == "echo" else { throw ROSError(.refused, "no method \(method)") }
            return .array([.int(1), .string("ok"), parameters.first ?? .int(0)])
        }
        let uri = "http://127.0.0.1:\(server.port)/"
        let client = XMLRPCClient(group: group)
        #expect(try await client.callROS("echo", [Self.nested], at: uri) == Self.nested)
        await #expect { try await client.call("other", [], at: uri) } throws: {
            ($0 as? ROSError)?.code == .refused && "\($0)".contains("no method other")
        }
        let bundle = XMLRPCValue.array(
            ["echo", "other"].map { .structure(["methodName": .string($0), "params": .array([.int(5)])]) }
        )
        let answers = try await client.call("system.multicall", [bundle], at: uri).array
        #expect(answers?.first == .array([.array([.int(1), .string("ok"), .int(5)])]))
        #expect(answers?.last?.structure?["faultString"] == .string("no method other"))
        await server.stop()
        await #expect { try await client.call("echo", [], at: uri) } throws: {
            ($0 as? ROSError)?.code == .unreachable
        }
    }

    @Test("a peer that accepts and says nothing runs into the timeout")
    func silence() async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let client = XMLRPCClient(group: MultiThreadedEventLoopGroup.singleton)
        await #expect {
            try await client.call("getPid", [], at: "http://127.0.0.1:\(port)", timeout: .milliseconds(100))
        } throws: {
            ($0 as? ROSError)?.code == .timeout
        }
        try await channel.close()
    }

    @Test("addresses are parsed or refused with the text")
    func addresses() throws {
        let address = try ROSAddress(parsing: "http://kuavo_master:11311/", scheme: "http", defaultPort: 80)
        #expect(address == ROSAddress(host: "kuavo_master", port: 11311))
        #expect(throws: ROSError.self) { try ROSAddress(parsing: "localhost:1", scheme: "http", defaultPort: 80) }
        #expect(throws: ROSError.self) { try ROSAddress(parsing: "http://a:b", scheme: "http", defaultPort: 80) }
    }

    /// A struct of many members and text of many entities: each is read once, so that a peer cannot make a node stand.
    @Test("long documents take as long as they are", .timeLimit(.minutes(1)))
    func longDocuments() throws {
        let members = (0..<60_000).map { "<member><name>m\($0)</name><value><i4>\($0)</i4></value></member>" }.joined()
        let value = "<value><struct>\(members)</struct></value>"
        let entities = "<value>" + String(repeating: "&lt;", count: 500_000) + "</value>"
        for (value, isStruct) in [(value, true), (entities, false)] {
            let text =
                "<?xml version=\"1.0\"?><methodResponse><params><param>\(value)</param></params></methodResponse>"
            guard case .response(let parsed) = try XMLRPCDocument(parsing: Array(text.utf8)) else {
                Issue.record("no response")
                continue
            }
            if isStruct {
                #expect(parsed.structure?.count == 60_000 && parsed.structure?["m59999"] == .int(59_999))
            } else {
                #expect(parsed.string?.count == 500_000)
            }
        }
    }

    /// Entities that grow cannot be smuggled in under an encoding that the search for their declaration does not read.
    @Test("only UTF-8 and its like are parsed", arguments: ["UTF-16", "utf-7", "UTF-32", "EBCDIC-CP-US"])
    func otherEncodings(encoding: String) {
        let text = "<?xml version='1.0' encoding='\(encoding)'?><methodCall><methodName>m</methodName></methodCall>"
        #expect(throws: ROSError.self) { try XMLRPCDocument(parsing: Array(text.utf8)) }
        let plain = text.replacing(encoding, with: "utf-8")
        #expect(throws: Never.self) { try XMLRPCDocument(parsing: Array(plain.utf8)) }
        let wide: [UInt8] = text.utf8.flatMap { [$0, 0] as [UInt8] }
        #expect(throws: ROSError.self) { try XMLRPCDocument(parsing: wide) }
    }
}
