package import Foundation
import GrootAPI
package import GrootCore

/// What a LeRobot data set says of itself in `meta/`: names, rate, and the range of its values.
///
/// Read to be compared, never to be used: what a policy normalises with is part of its checkpoint.
package struct LeRobotDataset: Sendable, Equatable {
    package enum Finding: Sendable, Equatable {
        case dataset(LeRobotDataset)
        /// There is no data set in this place.
        case nothing(String)
        /// There is one, and its description makes no sense.
        case unusable(String)
    }

    /// One vector, `observation.state` or `action`.
    package struct Vector: Sendable, Equatable {
        package var names: [String]
        /// Per name; empty when the data set has no statistics.
        package var minimum: [Double] = []
        package var maximum: [Double] = []
    }

    /// Rows a second.
    package var rate: Double
    package var state: Vector
    package var action: Vector
    /// Keys of the cameras.
    package var images: [String]

    /// A description larger than this is none.
    private static let maximumBytes = 16 << 20
    /// How far a recorded arm may lie outside the profile's limits, rad.
    private static let margin = 0.5

    package static func read(_ folder: URL) -> Finding {
        let meta = folder.appending(path: "meta")
        let info: Info
        let statistics: [String: Statistics]
        do {
            guard let data = try content(of: meta.appending(path: "info.json")) else {
                return .nothing("no meta/info.json in \(folder.path)")
            }
            info = try JSONDecoder().decode(Info.self, from: data)
            let table = try content(of: meta.appending(path: "stats.json")) ?? Data("{}".utf8)
            statistics = try JSONDecoder().decode([String: Statistics].self, from: table)
        } catch {
            return .unusable("meta/ cannot be read: \(error)")
        }
        func vector(_ key: String) -> Vector? {
            guard let names = info.features[key]?.names?.all else { return nil }
            let own = statistics[key]
            return Vector(names: names, minimum: own?.min?.all ?? [], maximum: own?.max?.all ?? [])
        }
        guard let state = vector(PolicyDescription.stateKey), let action = vector(PolicyDescription.actionKey) else {
            return .unusable("meta/info.json names no observation.state or no action")
        }
        for (key, vector) in [(PolicyDescription.stateKey, state), (PolicyDescription.actionKey, action)] {
            for list in [vector.minimum, vector.maximum] where !list.isEmpty && list.count != vector.names.count {
                return .unusable(
                    "meta/stats.json has \(list.count) values of \(key), which has \(vector.names.count) names"
                )
            }
        }
        let images = info.features.filter { ["video", "image"].contains($0.value.dtype) }.keys.sorted()
        return .dataset(LeRobotDataset(rate: info.fps, state: state, action: action, images: images))
    }

    /// Nil when there is no such file.
    ///
    /// - Throws: for a file that is none, or too large to be one.
    private static func content(of file: URL) throws -> Data? {
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let values = try FileManager.default.attributesOfItem(atPath: file.resolvingSymlinksInPath().path)
        guard values[.type] as? FileAttributeType == .typeRegular, let bytes = values[.size] as? Int,
            bytes <= maximumBytes
        else { throw AgentError(.usage, "\(file.lastPathComponent) is no file of at most \(maximumBytes) bytes") }
        return try Data(contentsOf: file)
    }

    /// What the checkpoint was not made from, or the robot cannot be: one sentence each.
    package func differences(to policy: PolicyDescription, profile: RobotProfile) -> [String] {
        var lines: [String] = []
        func compare(_ key: String, _ own: [String], _ wanted: [String]) {
            guard own != wanted else { return }
            let only = own.filter { !wanted.contains($0) }
            let lacking = wanted.filter { !own.contains($0) }
            let detail =
                only.isEmpty && lacking.isEmpty
                ? "has the names in another order"
                : "has [\(only.joined(separator: ", "))] and lacks [\(lacking.joined(separator: ", "))]"
            lines.append("\(key) \(detail), compared with checkpoint \(policy.checkpoint), whose names are used")
        }
        compare(PolicyDescription.stateKey, state.names, policy.stateNames)
        compare(PolicyDescription.actionKey, action.names, policy.actionNames)
        let missing = policy.images.map(\.key).filter { !images.contains($0) }
        if !missing.isEmpty {
            lines.append("it has no \(missing.joined(separator: ", ")), which checkpoint \(policy.checkpoint) looks at")
        }
        let rowRate = 1 / policy.actionPeriod.seconds
        if abs(rate - rowRate) > 0.01 * rowRate {
            lines.append(
                "it has \(rate) rows a second, checkpoint \(policy.checkpoint) has \(rowRate), which are used"
            )
        }
        lines += ranges(of: state, PolicyDescription.stateKey, profile)
        lines += ranges(of: action, PolicyDescription.actionKey, profile)
        return lines
    }

    /// Statistics that this robot's joints and claws cannot have produced; usually another unit.
    private func ranges(of vector: Vector, _ key: String, _ profile: RobotProfile) -> [String] {
        let allowed = profile.ranges
        return zip(vector.names.indices, vector.names).compactMap { index, name in
            guard let range = allowed[name], vector.minimum.indices.contains(index),
                vector.maximum.indices.contains(index)
            else { return nil }
            let (low, high) = (vector.minimum[index], vector.maximum[index])
            guard low.isFinite, high.isFinite, low <= high else {
                return "\(key) \(name) has the statistics \(low) to \(high), which are none"
            }
            let margin = range.isAngle ? Self.margin : 5
            guard low < range.bounds.lowerBound - margin || high > range.bounds.upperBound + margin else { return nil }
            return
                "\(key) \(name) goes from \(low) to \(high), robot \(profile.name) from \(range.bounds.lowerBound) to "
                + "\(range.bounds.upperBound)\(range.isAngle ? " rad" : ""); is that another unit?"
        }
    }
}

extension LeRobotDataset {
    private struct Info: Decodable {
        var fps: Double
        var features: [String: Feature]
    }

    private struct Feature: Decodable {
        var dtype: String
        var names: Names?

        enum CodingKeys: String, CodingKey { case dtype, names }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            dtype = try container.decode(String.self, forKey: .dtype)
            // Names of an image's axes and the like have other shapes, and are of no interest here.
            names = try? container.decodeIfPresent(Names.self, forKey: .names)
        }
    }

    /// `["a", "b"]`, `[["a", "b"]]` or `{"motors": ["a", "b"]}`: all are in use.
    private struct Names: Decodable {
        var all: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flat = try? container.decode([String].self) {
                all = flat
            } else if let nested = try? container.decode([[String]].self) {
                all = nested.flatMap(\.self)
            } else {
                all = try container.decode([String: [String]].self).sorted { $0.key < $1.key }.flatMap(\.value)
            }
        }
    }

    private struct Statistics: Decodable {
        var min: Numbers?
        var max: Numbers?
    }

    /// A list of numbers, however deep the lists are nested: images have three levels.
    private struct Numbers: Decodable {
        var all: [Double]

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            all = []
            while !container.isAtEnd {
                if let number = try? container.decode(Double.self) {
                    all.append(number)
                } else {
                    all += try container.decode(Numbers.self).all
                }
            }
        }
    }
}

extension RobotProfile {
    /// What joints and claws can be, by the names that policies use.
    fileprivate var ranges: [String: (bounds: ClosedRange<Double>, isAngle: Bool)] {
        var ranges: [String: (bounds: ClosedRange<Double>, isAngle: Bool)] = [:]
        let joints = zip(arm.minimumRad, arm.maximumRad).map { (Double($0)...Double($1), true) }
        let claws = hands.map { "\($0)_claw_position" } + StateComponent.claws.names(of: self)
        for (name, range) in zip(jointNames(armJoints), joints) { ranges[name] = range }
        for name in claws { ranges[name] = (0...100, false) }
        return ranges
    }
}
