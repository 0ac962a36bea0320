import Testing

@testable import ROS1

@Suite("Master state")
struct MasterStateTests {
    private let a = "http://127.0.0.1:1/"
    private let b = "http://127.0.0.1:2/"

    @Test("subscribers learn of every change of publishers")
    func publisherUpdates() throws {
        var registry = MasterRegistry()
        let first = try registry.registerSubscriber(node: "/b", topic: "/t", type: "x/Y", uri: b)
        #expect(first.publishers.isEmpty && first.notices.isEmpty)
        let second = try registry.registerPublisher(node: "/a", topic: "/t", type: "x/Y", uri: a)
        #expect(second.subscribers == [b])
        #expect(second.notices == [.publisherUpdate(topic: "/t", publishers: [a], to: b)])
        #expect(registry.publishedTopics(below: "").map(\.topic) == ["/t"])
        #expect(registry.publishedTopics(below: "/other").isEmpty)
        let gone = registry.unregisterPublisher(node: "/a", topic: "/t", uri: a)
        #expect(gone.removed && gone.1 == [.publisherUpdate(topic: "/t", publishers: [], to: b)])
        #expect(registry.uri(ofNode: "/a") == nil)
        #expect(registry.uri(ofNode: "/b") == b)
    }

    @Test("a node that comes back under a new address replaces its former self")
    func replacement() throws {
        var registry = MasterRegistry()
        _ = try registry.registerSubscriber(node: "/s", topic: "/t", type: "*", uri: b)
        _ = try registry.registerPublisher(node: "/a", topic: "/t", type: "x/Y", uri: a)
        _ = try registry.registerService(node: "/a", service: "/f", serviceURI: "rosrpc://h:1", uri: a)
        let again = "http://127.0.0.1:9/"
        let result = try registry.registerPublisher(node: "/a", topic: "/t", type: "x/Y", uri: again)
        #expect(result.notices.first == .shutdown(reason: "new node registered with same name", to: a))
        #expect(result.notices.last == .publisherUpdate(topic: "/t", publishers: [again], to: b))
        #expect(registry.uri(ofService: "/f") == nil)
        #expect(!registry.unregisterPublisher(node: "/a", topic: "/t", uri: a).removed, "the former self has no say")
    }

    @Test("a later service provider takes over, and the former cannot take it away")
    func services() throws {
        var registry = MasterRegistry()
        _ = try registry.registerService(node: "/a", service: "/f", serviceURI: "rosrpc://h:1", uri: a)
        _ = try registry.registerService(node: "/b", service: "/f", serviceURI: "rosrpc://h:2", uri: b)
        let removedByFormer = registry.unregisterService(node: "/a", service: "/f", serviceURI: "rosrpc://h:1")
        #expect(!removedByFormer)
        #expect(registry.uri(ofService: "/f") == "rosrpc://h:2")
    }

    @Test("parameters form a tree")
    func parameters() throws {
        var tree = ParameterTree()
        _ = try tree.set("/robot/arm", to: .structure(["joints": .int(7)]))
        _ = try tree.set("/robot/name", to: .string("r1"))
        #expect(tree.get("/robot/arm/joints") == .int(7))
        #expect(tree.names == ["/robot/arm/joints", "/robot/name"])
        #expect(tree.search("arm/joints", from: "/robot/left/node") == "/robot/arm/joints")
        #expect(tree.search("nothing", from: "/robot") == nil)
        #expect(tree.follow("/robot/name", node: a) == .string("r1"))
        let notices = try tree.set("/robot/name", to: .string("r2"))
        #expect(notices == [.paramUpdate(key: "/robot/name", value: .string("r2"), to: a)])
        #expect(tree.delete("/robot")?.count == 1)
        #expect(tree.delete("/robot") == nil)
        #expect(throws: ROSError.self) { try tree.set("/", to: .int(1)) }
    }

    @Test("names are resolved against the caller, and missing things are answered as rosmaster does")
    func api() throws {
        var api = MasterAPI()
        let caller = XMLRPCValue.string("/cell/node")
        _ = try api.handle("setParam", [caller, .string("rate"), .int(3)])
        _ = try api.handle("setParam", [caller, .string("~own"), .int(4)])
        #expect(try api.handle("getParam", [caller, .string("/cell/rate")]).result.array?.last == .int(3))
        #expect(try api.handle("getParam", [caller, .string("/cell/node/own")]).result.array?.last == .int(4))
        for (method, name) in [("getParam", "/use_sim_time"), ("lookupNode", "/x"), ("lookupService", "/x")] {
            #expect(try api.handle(method, [caller, .string(name)]).result.array?.first == .int(-1))
        }
        #expect(throws: ROSError.self) { try api.handle("getParam", [caller]) }
        #expect(throws: ROSError.self) { try api.handle("format_disk", [caller]) }
    }

    @Test("a node registers again after the master restarted, was away, or forgot it")
    func health() {
        var health = MasterHealth()
        #expect(health.observe(.answered(pid: 1, node: .us)) == .none)
        #expect(health.observe(.answered(pid: 2, node: .notAsked)) == .registerAgain)
        #expect(health.observe(.unreachable) == .reportLost)
        #expect(health.observe(.unreachable) == .none)
        #expect(health.observe(.answered(pid: 2, node: .notAsked)) == .registerAgain)
        #expect(health.observe(.answered(pid: 2, node: .us)) == .none)
        #expect(health.observe(.answered(pid: 2, node: .nobody)) == .registerAgain)
        health.registrationFailed()
        #expect(health.observe(.answered(pid: 2, node: .us)) == .registerAgain)
    }

    @Test("a node steps back when another one holds its name, and never takes it back")
    func anotherHolder() {
        var health = MasterHealth()
        #expect(health.observe(.answered(pid: 1, node: .us)) == .none)
        #expect(health.observe(.answered(pid: 1, node: .another("http://b:1/"))) == .stepBack("http://b:1/"))
        // The master restarted, and the other one was faster.
        #expect(health.observe(.unreachable) == .reportLost)
        #expect(health.observe(.answered(pid: 2, node: .another("http://b:1/"))) == .stepBack("http://b:1/"))
    }

    @Test("trouble with a publisher is said once, until a connection has stood")
    func trouble() {
        var trouble = ConnectionTrouble()
        let refused = ROSError(.typeMismatch, "no")
        #expect(trouble.ended(after: nil, because: refused) != nil)
        #expect(trouble.ended(after: nil, because: refused) == nil)
        #expect(trouble.ended(after: nil, because: ROSError(.unreachable, "gone")) != nil)
        // One that accepts and breaks off, again and again.
        #expect(trouble.ended(after: .milliseconds(3), because: nil)?.contains("breaks") == true)
        for _ in 0..<100 { #expect(trouble.ended(after: .milliseconds(3), because: nil) == nil) }
        #expect(trouble.ended(after: .seconds(60), because: nil)?.contains("ended") == true)
        #expect(trouble.ended(after: .milliseconds(3), because: nil) == nil)
    }

    @Test("pauses grow to a ceiling and start over after a success")
    func backoff() {
        var backoff = RetryBackoff()
        let pauses = (0..<8).map { _ in backoff.pause() }
        #expect(pauses.first == RetryBackoff.first && pauses.last == RetryBackoff.longest)
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        backoff.succeeded()
        #expect(backoff.pause() == RetryBackoff.first)
    }

    @Test("graph names are made global or refused")
    func names() throws {
        #expect(try ROSName.global("arm//left/") == "/arm/left")
        for name in ["", "/", "a b", "a=b", "~x", "ä"] {
            #expect(throws: ROSError.self) { try ROSName.global(name) }
        }
    }
}
