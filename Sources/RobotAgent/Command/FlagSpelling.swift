/// Makes `--action_chunk_size=20` and `--action-chunk-size 20` the same flag before the parser sees them.
package enum FlagSpelling {
    /// Rewrites underscores in option names only, never in values.
    package static func normalised(_ arguments: [String]) -> [String] {
        var rest = false
        return arguments.map { argument in
            if argument == "--" { rest = true }
            guard !rest, argument.hasPrefix("--") else { return argument }
            let name = argument.prefix { $0 != "=" }
            return String(name.map { $0 == "_" ? "-" : $0 }) + argument.dropFirst(name.count)
        }
    }
}
