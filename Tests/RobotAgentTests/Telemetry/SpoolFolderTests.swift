import Foundation
import GrootTesting
import Testing

@testable import RobotAgent

/// The spool on a real disk.
struct SpoolFolderTests {
    @Test func filesAreWrittenReadAndDeleted() throws {
        let directory = try TemporaryDirectory()
        let folder = try SpoolFolder(directory.url.appending(path: "spool"))
        try folder.write([1, 2, 3], to: "a", at: 0)
        try folder.write([4], to: "a", at: 3)
        try folder.synchronize("a")
        #expect(try folder.read("a", from: 0) == [1, 2, 3, 4])
        #expect(try folder.read("a", from: 3) == [4])
        #expect(try folder.list().map(\.name) == ["a"])
        #expect(try folder.list().map(\.bytes) == [4])
        try folder.delete("a")
        try folder.synchronize("a")
        #expect(try folder.list().isEmpty)
        let error = try #require(throws: SpoolStorageError.self) { try folder.read("a", from: 0) }
        #expect(error.code == .failed)
    }

    @Test func twoAgentsNeverShareADirectory() throws {
        let directory = try TemporaryDirectory()
        var first: SpoolFolder? = try SpoolFolder(directory.url)
        let error = try #require(throws: AgentError.self) { try SpoolFolder(directory.url) }
        #expect(error.code == .spool && error.message.contains("another groot-agent"))
        #expect(first != nil)
        first = nil
        _ = try SpoolFolder(directory.url)
    }

    @Test func aDirectoryThatCannotBeMadeIsNamed() throws {
        let error = try #require(throws: AgentError.self) {
            try SpoolFolder(URL(filePath: "/proc/nowhere/spool"))
        }
        #expect(error.code == .spool && error.message.contains("/proc/nowhere/spool"))
    }
}
