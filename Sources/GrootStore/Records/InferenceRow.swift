package import Foundation

/// One inference request as the agent saw it.
///
/// Durations and runways are nanoseconds.
package struct InferenceRow: Sendable, Equatable {
    package var robot: String
    package var boot: String
    package var sequence: Int64
    package var episode: UUID?
    package var requestID = ""
    package var observationIndex: Int64 = 0
    package var worker = ""
    package var checkpoint = ""
    package var capturedAtUnixNanoseconds: Int64 = 0
    package var latency: Int64 = 0
    package var runwayAtSend: Int64 = 0
    package var runwayAtArrival: Int64 = 0
    package var rows: Int64 = 0
    package var staleRows: Int64 = 0
    package var attempts: Int64 = 0
    package var skew: Int64 = 0
    package var encode: Int64 = 0
    package var roundTrip: Int64 = 0
    package var workerQueue: Int64 = 0
    package var workerDecode: Int64 = 0
    package var workerPreprocess: Int64 = 0
    package var workerInfer: Int64 = 0
    package var workerPostprocess: Int64 = 0
    package var workerEncode: Int64 = 0
    package var batchSize: Int64 = 0
    /// gRPC status name.
    package var status = "OK"
    package var message = ""
    package var requestBytes: Int64 = 0

    package init(robot: String, boot: String, sequence: Int64, episode: UUID? = nil) {
        self.robot = robot
        self.boot = boot
        self.sequence = sequence
        self.episode = episode
    }

    /// Appends this row in COPY text format; the column order is that of `Queries.copyInferences`.
    func appendCopyLine(to data: inout [UInt8]) {
        Self.append(text: robot, to: &data)
        Self.append(text: boot, to: &data)
        Self.append(sequence, to: &data)
        if let episode {
            data.append(contentsOf: episode.uuidString.utf8)
        } else {
            data.append(contentsOf: #"\N"#.utf8)
        }
        data.append(UInt8(ascii: "\t"))
        Self.append(text: requestID, to: &data)
        Self.append(observationIndex, to: &data)
        Self.append(text: worker, to: &data)
        Self.append(text: checkpoint, to: &data)
        for number in [
            capturedAtUnixNanoseconds, latency, runwayAtSend, runwayAtArrival, rows, staleRows, attempts, skew, encode,
            roundTrip, workerQueue, workerDecode, workerPreprocess, workerInfer, workerPostprocess, workerEncode,
            batchSize,
        ] {
            Self.append(number, to: &data)
        }
        Self.append(text: status, to: &data)
        Self.append(text: message, to: &data)
        data.append(contentsOf: String(requestBytes).utf8)
        data.append(UInt8(ascii: "\n"))
    }

    private static func append(_ number: Int64, to data: inout [UInt8]) {
        data.append(contentsOf: String(number).utf8)
        data.append(UInt8(ascii: "\t"))
    }

    private static func append(text: String, to data: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): data.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\t"): data.append(contentsOf: #"\t"#.utf8)
            case UInt8(ascii: "\n"): data.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\r"): data.append(contentsOf: #"\r"#.utf8)
            default: data.append(byte)
            }
        }
        data.append(UInt8(ascii: "\t"))
    }
}
