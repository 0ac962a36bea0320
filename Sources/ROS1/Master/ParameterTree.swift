/// The parameter server's values, as nested namespaces.
///
/// Pure; `ROSMaster` owns it behind its lock.
///
/// Keys arrive resolved (`/a/b`); `/` is the whole tree.
struct ParameterTree: Sendable {
    private var root: [String: XMLRPCValue] = [:]
    /// Node addresses by the key they follow.
    private var followers: [String: Set<String>] = [:]

    func get(_ key: String) -> XMLRPCValue? {
        var value = XMLRPCValue.structure(root)
        for segment in Self.segments(key) {
            guard let child = value.structure?[segment] else { return nil }
            value = child
        }
        return value
    }

    /// Stores a value; a struct becomes a namespace.
    ///
    /// Returns whom to tell.
    mutating func set(_ key: String, to value: XMLRPCValue) throws(ROSError) -> [MasterNotice] {
        let segments = Self.segments(key)
        if segments.isEmpty {
            guard case .structure(let members) = value else {
                throw ROSError(.refused, "the root of the parameters can only be a struct")
            }
            root = members
        } else {
            Self.store(value, at: segments[...], in: &root)
        }
        return notices(about: key)
    }

    /// Removes a value or a whole namespace; nil when it is not there.
    mutating func delete(_ key: String) -> [MasterNotice]? {
        let segments = Self.segments(key)
        guard !segments.isEmpty, get(key) != nil else { return nil }
        Self.store(nil, at: segments[...], in: &root)
        return notices(about: key)
    }

    /// Looks for the first segment of `key` in `namespace` and then in each namespace around it.
    func search(_ key: String, from namespace: String) -> String? {
        if key.hasPrefix("/") { return get(key) == nil ? nil : key }
        guard let first = Self.segments(key).first else { return nil }
        var scope = Self.segments(namespace)
        while true {
            let prefix = scope.map { "/" + $0 }.joined()
            if get("\(prefix)/\(first)") != nil { return "\(prefix)/\(key)" }
            guard scope.popLast() != nil else { return nil }
        }
    }

    /// Full names of all values that are no namespace.
    var names: [String] { Self.leaves(root, below: "") }

    mutating func follow(_ key: String, node uri: String) -> XMLRPCValue {
        followers[key, default: []].insert(uri)
        return get(key) ?? .structure([:])
    }

    mutating func unfollow(_ key: String, node uri: String) -> Bool {
        followers[key]?.remove(uri) != nil
    }

    private func notices(about key: String) -> [MasterNotice] {
        followers.filter { Self.isRelated($0.key, key) }.flatMap { followed, uris in
            let value = get(followed) ?? .structure([:])
            return uris.map { MasterNotice.paramUpdate(key: followed, value: value, to: $0) }
        }
    }

    private static func segments(_ key: String) -> [String] {
        key.split(separator: "/").map(String.init)
    }

    private static func isRelated(_ left: String, _ right: String) -> Bool {
        let (left, right) = (segments(left), segments(right))
        return left.starts(with: right) || right.starts(with: left)
    }

    private static func store(
        _ value: XMLRPCValue?,
        at segments: ArraySlice<String>,
        in space: inout [String: XMLRPCValue]
    ) {
        guard let first = segments.first else { return }
        if segments.count == 1 {
            space[first] = value
        } else {
            var child = space[first]?.structure ?? [:]
            store(value, at: segments.dropFirst(), in: &child)
            space[first] = .structure(child)
        }
    }

    private static func leaves(_ space: [String: XMLRPCValue], below prefix: String) -> [String] {
        space.sorted { $0.key < $1.key }.flatMap { name, value in
            let full = "\(prefix)/\(name)"
            if case .structure(let members) = value { return leaves(members, below: full) }
            return [full]
        }
    }
}
