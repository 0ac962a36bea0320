import Foundation
import Glibc
import GrootTesting
import Testing

@testable import Gateway

struct ControlSocketTests {
    private func mode(_ path: String) throws -> Int? {
        try (FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
    }

    @Test func nobodyElseMayEnterItsDirectory() throws {
        let place = try TemporaryDirectory()
        let socket = try ControlSocket(environment: ["RUNTIME_DIRECTORY": "\(place.url.path):/other"])
        let directory = URL(filePath: socket.path).deletingLastPathComponent()
        #expect(directory.deletingLastPathComponent().path == place.url.path)
        #expect(try mode(directory.path) == 0o700)
        socket.remove()
        #expect(!FileManager.default.fileExists(atPath: directory.path))
    }

    @Test func aPlaceThatCannotBeUsedIsPassedOver() throws {
        let place = try TemporaryDirectory()
        let long = place.url.appending(path: String(repeating: "d", count: 100))
        try FileManager.default.createDirectory(at: long, withIntermediateDirectories: true)
        let socket = try ControlSocket(
            environment: ["RUNTIME_DIRECTORY": "/proc/none", "XDG_RUNTIME_DIR": long.path, "TMPDIR": place.url.path]
        )
        #expect(socket.path.hasPrefix(place.url.path + "/groot-control-"))
        socket.remove()
    }

    /// What a killed process left goes; what another one holds, or just made, stays.
    @Test func leftoversGoAndLivingOnesStay() throws {
        let place = try TemporaryDirectory()
        let environment = ["RUNTIME_DIRECTORY": place.url.path]
        let living = try ControlSocket(environment: environment)
        let old = place.url.appending(path: "groot-control-dead")
        let new = place.url.appending(path: "groot-control-new")
        let foreign = place.url.appending(path: "something-else")
        for directory in [old, new, foreign] {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        }
        let past = Date().addingTimeInterval(-3600)
        let livingDirectory = URL(filePath: living.path).deletingLastPathComponent()
        for directory in [old, foreign, livingDirectory] {
            try FileManager.default.setAttributes([.modificationDate: past], ofItemAtPath: directory.path)
        }
        let next = try ControlSocket(environment: environment)
        let left = try FileManager.default.contentsOfDirectory(atPath: place.url.path).filter {
            $0 != "groot-control-dead"
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: place.url.path).count == left.count,
            "the dead one is gone"
        )
        for directory in [new, foreign, livingDirectory, URL(filePath: next.path).deletingLastPathComponent()] {
            #expect(left.contains(directory.lastPathComponent))
        }
        living.remove()
        next.remove()
    }
}
