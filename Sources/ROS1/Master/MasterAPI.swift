import Foundation

/// The master's XML-RPC methods over its two state machines.
///
/// Pure apart from the process id.
struct MasterAPI: Sendable {
    var registry = MasterRegistry()
    var parameters = ParameterTree()
    /// `http://host:port/`, known once the port is bound.
    var uri = ""

    /// Answers one call with `[code, status, value]` and says whom to notify.
    ///
    /// - Throws: `malformed` for wrong arguments, `refused` for an unknown method.
    mutating func handle(_ method: String, _ parameters: [XMLRPCValue]) throws(ROSError)
        -> (result: XMLRPCValue, notices: [MasterNotice])
    {
        var arguments = Arguments(method: method, values: parameters)
        let caller = try arguments.string()
        switch method {
        case "registerPublisher", "registerSubscriber", "registerService", "unregisterPublisher",
            "unregisterSubscriber", "unregisterService":
            return try register(method, caller: caller, arguments: &arguments)
        case "getParam", "setParam", "hasParam", "deleteParam", "searchParam", "subscribeParam", "unsubscribeParam",
            "getParamNames":
            return try parameter(method, caller: caller, arguments: &arguments)
        default:
            return (try ask(method, caller: caller, arguments: &arguments), [])
        }
    }

    private mutating func register(
        _ method: String,
        caller: String,
        arguments: inout Arguments
    ) throws(ROSError) -> (XMLRPCValue, [MasterNotice]) {
        let name = Self.resolve(try arguments.string(), for: caller)
        let second = try arguments.string()
        switch method {
        case "registerPublisher":
            let uri = try arguments.string()
            let (uris, notices) = try registry.registerPublisher(node: caller, topic: name, type: second, uri: uri)
            return (Self.success(.strings(uris)), notices)
        case "registerSubscriber":
            let uri = try arguments.string()
            let (uris, notices) = try registry.registerSubscriber(node: caller, topic: name, type: second, uri: uri)
            return (Self.success(.strings(uris)), notices)
        case "registerService":
            let uri = try arguments.string()
            let notices = try registry.registerService(node: caller, service: name, serviceURI: second, uri: uri)
            return (Self.success(.int(1)), notices)
        case "unregisterPublisher":
            let (removed, notices) = registry.unregisterPublisher(node: caller, topic: name, uri: second)
            return (Self.success(.int(removed ? 1 : 0)), notices)
        case "unregisterSubscriber":
            let removed = registry.unregisterSubscriber(node: caller, topic: name, uri: second)
            return (Self.success(.int(removed ? 1 : 0)), [])
        default:
            let removed = registry.unregisterService(node: caller, service: name, serviceURI: second)
            return (Self.success(.int(removed ? 1 : 0)), [])
        }
    }

    private mutating func parameter(
        _ method: String,
        caller: String,
        arguments: inout Arguments
    ) throws(ROSError) -> (XMLRPCValue, [MasterNotice]) {
        if method == "getParamNames" { return (Self.success(.strings(parameters.names)), []) }
        if method == "subscribeParam" || method == "unsubscribeParam" {
            let uri = try arguments.string()
            let key = Self.resolve(try arguments.string(), for: caller)
            guard method == "subscribeParam" else {
                return (Self.success(.int(parameters.unfollow(key, node: uri) ? 1 : 0)), [])
            }
            return (Self.success(parameters.follow(key, node: uri)), [])
        }
        let written = try arguments.string()
        let key = Self.resolve(written, for: caller)
        switch method {
        case "setParam": return (Self.success(.int(0)), try parameters.set(key, to: try arguments.next()))
        case "hasParam": return (Self.success(.bool(parameters.get(key) != nil)), [])
        case "deleteParam":
            guard let notices = parameters.delete(key) else { return (Self.unset(key), []) }
            return (Self.success(.int(0)), notices)
        case "searchParam":
            guard let found = parameters.search(written, from: caller) else { return (Self.unset(written), []) }
            return (Self.success(.string(found)), [])
        default:
            guard let value = parameters.get(key) else { return (Self.unset(key), []) }
            return (Self.success(value), [])
        }
    }

    private func ask(_ method: String, caller: String, arguments: inout Arguments) throws(ROSError) -> XMLRPCValue {
        switch method {
        case "lookupNode":
            let name = Self.resolve(try arguments.string(), for: caller)
            guard let uri = registry.uri(ofNode: name) else { return Self.failure("unknown node [\(name)]") }
            return Self.success(.string(uri))
        case "lookupService":
            let name = Self.resolve(try arguments.string(), for: caller)
            guard let uri = registry.uri(ofService: name) else { return Self.failure("no provider") }
            return Self.success(.string(uri))
        case "getPublishedTopics":
            let topics = registry.publishedTopics(below: try arguments.string())
            return Self.success(.array(topics.map { .strings([$0.topic, $0.type]) }))
        case "getTopicTypes":
            return Self.success(.array(registry.allTopicTypes.map { .strings([$0.topic, $0.type]) }))
        case "getSystemState":
            let state = registry.systemState.map { kind in
                XMLRPCValue.array(kind.map { .array([.string($0.name), .strings($0.nodes)]) })
            }
            return Self.success(.array(state))
        case "getUri": return Self.success(.string(uri))
        case "getPid": return Self.success(.int(Int(ProcessInfo.processInfo.processIdentifier)))
        default: throw ROSError(.refused, "method \"\(method)\" is not supported")
        }
    }

    /// Global form of a name as `caller` (`/ns/node`) means it.
    private static func resolve(_ name: String, for caller: String) -> String {
        let namespace = caller.split(separator: "/").dropLast().map(String.init)
        let segments = name.split(separator: "/").map(String.init)
        if name.hasPrefix("/") { return "/" + segments.joined(separator: "/") }
        if name.hasPrefix("~") {
            return caller + "/" + name.dropFirst().split(separator: "/").joined(separator: "/")
        }
        return "/" + (namespace + segments).joined(separator: "/")
    }

    private static func success(_ value: XMLRPCValue) -> XMLRPCValue { .array([.int(1), .string("ok"), value]) }
    private static func failure(_ status: String) -> XMLRPCValue { .array([.int(-1), .string(status), .int(0)]) }
    private static func unset(_ key: String) -> XMLRPCValue { failure("Parameter [\(key)] is not set") }
}

/// Takes a call's arguments one by one.
private struct Arguments {
    let method: String
    private var values: ArraySlice<XMLRPCValue>

    init(method: String, values: [XMLRPCValue]) {
        self.method = method
        self.values = values[...]
    }

    mutating func next() throws(ROSError) -> XMLRPCValue {
        guard let value = values.popFirst() else { throw ROSError(.malformed, "\(method) lacks an argument") }
        return value
    }

    mutating func string() throws(ROSError) -> String {
        guard let text = try next().string else {
            throw ROSError(.malformed, "\(method) needs a string where it got something else")
        }
        return text
    }
}
