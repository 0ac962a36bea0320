package import Foundation

/// Name and version of a saved run config, written `NAME@VERSION`.
package struct RunConfigName: Sendable, Hashable, CustomStringConvertible {
    package var name: String
    package var version: Int32

    package init(name: String, version: Int32) {
        self.name = name
        self.version = version
    }

    package var description: String { "\(name)@\(version)" }
}

/// A saved run config.
package struct RunConfigVersion: Sendable, Equatable {
    package var id: RunConfigName
    /// JSON object: agent settings by flag name without dashes.
    package var configJSON: String
    /// Empty: whatever the workers serve.
    package var checkpoint: String

    package init(id: RunConfigName, configJSON: String, checkpoint: String) {
        self.id = id
        self.configJSON = configJSON
        self.checkpoint = checkpoint
    }
}

/// Who asks which run config to use.
package struct RunConfigQuestion: Sendable, Equatable {
    package var robot: String
    package var task: String
    /// Decides whether it is one for the canary; nil is none.
    package var episode: UUID?

    package init(robot: String, task: String, episode: UUID?) {
        self.robot = robot
        self.task = task
        self.episode = episode
    }
}

/// Robots and tasks that an assignment is meant for; `*` stands for any text.
package struct RunConfigScope: Sendable, Hashable, CustomStringConvertible {
    package var robots: String
    package var tasks: String

    package init(robots: String = "*", tasks: String = "*") {
        self.robots = robots
        self.tasks = tasks
    }

    package var description: String { "robots \"\(robots)\", tasks \"\(tasks)\"" }
}

/// What is in force for a scope.
package struct RunConfigAssignment: Sendable, Equatable {
    package var id: Int64
    package var scope: RunConfigScope
    package var stable: RunConfigName
    package var canary: RunConfigName?
    /// Share of episodes that get the canary; 0 without one.
    package var share: Double
    /// The assignment that a rollback returns to.
    package var previous: Int64?

    package init(
        id: Int64,
        scope: RunConfigScope,
        stable: RunConfigName,
        canary: RunConfigName?,
        share: Double,
        previous: Int64?
    ) {
        self.id = id
        self.scope = scope
        self.stable = stable
        self.canary = canary
        self.share = share
        self.previous = previous
    }
}
