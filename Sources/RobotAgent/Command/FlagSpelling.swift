/// Makes `--action_chunk_size=20` and `--action-chunk-size 20` the same flag before the parser sees them.
package enum FlagSpelling {
    /// Rewrites underscores in option names only, never in values, and leaves out what `blanks` finds.
    package static func normalised(_ arguments: [String]) -> [String] {
        let blanks = blanks(in: arguments)
        var rest = false
        return arguments.indices.filter { !blanks.contains($0) }.map { index in
            let argument = arguments[index]
            if argument == "--" { rest = true }
            guard !rest, argument.hasPrefix("--") else { return argument }
            let name = argument.prefix { $0 != "=" }
            return String(name.map { $0 == "_" ? "-" : $0 }) + argument.dropFirst(name.count)
        }
    }

    /// Positions of arguments of nothing but blanks: what a shell makes of a backslash with a space behind it, as where the
    /// guide has a comment behind the backslash. The line ends there, and what stands on the next ones is not read.
    package static func blanks(in arguments: [String]) -> [Int] {
        arguments.indices.filter { index in
            guard !arguments[index].isEmpty, arguments[index].allSatisfy(\.isWhitespace) else { return false }
            // The value of the option before it, however odd, is not ours to take away.
            guard index > 0, arguments[index - 1].hasPrefix("--") else { return true }
            return arguments[index - 1].contains("=")
        }
    }

    /// What somebody whose line was cut short must know; nil when it was not.
    package static func remark(on arguments: [String]) -> String? {
        guard !blanks(in: arguments).isEmpty else { return nil }
        return "the command line ends at a backslash with a space behind it: flags on the lines below did not arrive; "
            + "remove the space, or the comment, behind each backslash"
    }
}
