import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import RobotAgent

/// What a command line of the guide expects, against checkpoint, robot and data set.
struct ExpectationsTests {
    private let logger = Logger(label: "test")

    private func policy() throws -> PolicyDescription {
        let profile = try ProfileCatalog.load("simulator")
        return PolicyDescription(
            checkpoint: "groot-mini",
            policyType: "groot_mini",
            sha256: "00",
            runtime: "scripted",
            images: profile.cameras.map { .init(key: $0.key, width: 96, height: 96) },
            stateNames: profile.stateNames,
            actionNames: profile.actionNames,
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
    }

    private func expectations(_ change: (inout AgentConfiguration) -> Void) throws -> Expectations {
        var settings = configuration(master: 1, gateway: 1, state: URL(filePath: "/nowhere"))
        change(&settings)
        return Expectations(
            configuration: settings,
            policy: try policy(),
            profile: try ProfileCatalog.load("simulator")
        )
    }

    @Test(
        arguments: [
            (nil, nil, 0), (16, 100.0, 0), (8, 10.0, 0), (20, nil, 1), (nil, 30.0, 1), (24, 50.0, 2), (17, 99.0, 2),
        ] as [(Int?, Double?, Int)]
    )
    func aDifferenceIsOneSentence(rows: Int?, rate: Double?, count: Int) throws {
        let found = try expectations {
            $0.chunkSize = rows
            $0.expectedRate = rate
        }
        #expect(found.differences.count == count, "\(found.differences)")
        if let rows, rows > 16 {
            #expect(found.differences[0].contains("--action-chunk-size \(rows)") && found.differences[0].contains("16"))
            #expect(found.configuration.rows(of: found.policy) == 16)
        }
        if count > 0, let rate, rate != 100 {
            #expect(found.differences.last?.contains("--fps \(Int(rate))") == true)
            #expect(found.differences.last?.contains("100 Hz") == true)
        }
        try found.settle(nil, logger)
        var strict = found
        strict = try expectations {
            $0.chunkSize = rows
            $0.expectedRate = rate
            $0.isStrict = true
        }
        if count == 0 {
            try strict.settle(nil, logger)
        } else {
            let error = #expect(throws: AgentError.self) { try strict.settle(nil, logger) }
            #expect(error?.code == .usage && error?.message.contains("--strict") == true)
        }
    }

    @Test func aSubstitutedCheckpointIsADifference() throws {
        let strict = try expectations { $0.isStrict = true }
        try strict.settle(nil, logger)
        #expect(throws: AgentError.self) { try strict.settle("--ckpt-path /a/b: groot-mini is used", logger) }
    }

    // MARK: Data sets

    /// A LeRobot data set's meta folder.
    private func dataset(
        names: String = "flat",
        rate: Double = 10,
        change: (inout [String: [String]]) -> Void = { _ in },
        scale: Double = 1
    ) throws -> TemporaryDirectory {
        let profile = try ProfileCatalog.load("simulator")
        let folder = try TemporaryDirectory()
        let meta = folder.url.appending(path: "meta")
        try FileManager.default.createDirectory(at: meta, withIntermediateDirectories: true)
        var vectors = ["observation.state": profile.stateNames, "action": profile.actionNames]
        change(&vectors)
        var features: [String: Any] = [:]
        var statistics: [String: Any] = [:]
        for (key, list) in vectors {
            let written: Any = names == "flat" ? list : names == "nested" ? [list] : ["motors": list]
            features[key] = ["dtype": "float32", "shape": [list.count], "names": written]
            statistics[key] = [
                "min": list.map { $0.contains("claw") ? 0 : -0.3 * scale },
                "max": list.map { $0.contains("claw") ? 100 : 0.4 * scale },
            ]
        }
        for camera in profile.cameras {
            features[camera.key] = [
                "dtype": "video", "shape": [480, 640, 3], "names": ["height", "width", "channels"],
            ]
            statistics[camera.key] = ["min": [[[0.0]], [[0.0]], [[0.0]]], "max": [[[1.0]], [[1.0]], [[1.0]]]]
        }
        features["timestamp"] = ["dtype": "float32", "shape": [1], "names": NSNull()]
        try JSONSerialization.data(withJSONObject: ["codebase_version": "v3.0", "fps": rate, "features": features])
            .write(to: meta.appending(path: "info.json"))
        try JSONSerialization.data(withJSONObject: statistics).write(to: meta.appending(path: "stats.json"))
        return folder
    }

    private func differences(_ folder: TemporaryDirectory) throws -> [String] {
        guard case .dataset(let found) = LeRobotDataset.read(folder.url) else {
            Issue.record("\(LeRobotDataset.read(folder.url))")
            return []
        }
        return found.differences(to: try policy(), profile: try ProfileCatalog.load("simulator"))
    }

    @Test(arguments: ["flat", "nested", "motors"])
    func aFittingDataSetIsUsedAndFits(names: String) throws {
        #expect(try differences(dataset(names: names)) == [])
    }

    @Test func whatDoesNotFitIsNamed() throws {
        let renamed = try differences(dataset { $0["action"]?[3] = "elbow" })
        #expect(renamed.count == 1 && renamed[0].contains("elbow") && renamed[0].contains("arm_joint_4"))
        let swapped = try differences(dataset { $0["observation.state"]?.swapAt(0, 1) })
        #expect(swapped.count == 1 && swapped[0].contains("another order"))
        let rate = try differences(dataset(rate: 30))
        #expect(rate.count == 1 && rate[0].contains("30.0 rows a second") && rate[0].contains("10.0"))
        let degrees = try differences(dataset(scale: 57.3))
        #expect(degrees.count == 28, "state and action of 14 joints")
        #expect(degrees.allSatisfy { $0.contains("another unit") && $0.contains("arm_joint_") })
    }

    @Test func whatIsNoDataSetIsSaidSo() throws {
        let folder = try TemporaryDirectory()
        guard case .nothing(let reason) = LeRobotDataset.read(folder.url) else {
            Issue.record("there is nothing")
            return
        }
        #expect(reason.contains("meta/info.json"))
        // The guide's default command lines name folders of another machine: nothing to say but that it is not needed.
        let strict = try expectations {
            $0.dataset = folder.url
            $0.isStrict = true
        }
        try strict.settle(nil, logger)

        let meta = folder.url.appending(path: "meta")
        try FileManager.default.createDirectory(at: meta, withIntermediateDirectories: true)
        for text in ["{", "{}", #"{"fps": 10, "features": {}}"#, #"{"fps": "x", "features": {}}"#, "[1]"] {
            try Data(text.utf8).write(to: meta.appending(path: "info.json"))
            guard case .unusable = LeRobotDataset.read(folder.url) else {
                Issue.record("\(text) is no description")
                continue
            }
            #expect(throws: AgentError.self) { try strict.settle(nil, logger) }
        }
        // A folder, or a pipe that nobody writes, in the file's place.
        try FileManager.default.removeItem(at: meta.appending(path: "info.json"))
        unsafe mkfifo(meta.appending(path: "info.json").path, 0o600)
        guard case .unusable = LeRobotDataset.read(folder.url) else {
            Issue.record("a pipe is no description")
            return
        }
    }

    @Test func statisticsOfAnotherLengthAreUnusable() throws {
        let folder = try dataset()
        let stats = folder.url.appending(path: "meta/stats.json")
        try Data(#"{"action": {"min": [0], "max": [1]}}"#.utf8).write(to: stats)
        guard case .unusable(let problem) = LeRobotDataset.read(folder.url) else {
            Issue.record("16 names, one value")
            return
        }
        #expect(problem.contains("1 values of action") && problem.contains("16 names"))
        // Older data sets have no such file.
        try FileManager.default.removeItem(at: stats)
        #expect(try differences(folder) == [])
    }
}
