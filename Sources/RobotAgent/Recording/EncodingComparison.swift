import Foundation
import GrootCore
import GrootImaging

/// What an image encoding costs and saves: bytes against the change of the policy's answers. Pure but for encoding.
struct EncodingComparison {
    private struct Column {
        var policyBytes = 0
        var cameraBytes = 0
        var differences: [Double] = []
        var turnedClaws = 0
    }

    let formats: [ObservationEncoder.ImageFormat]
    private let arms: Range<Int>
    private let claws: Range<Int>
    private var columns: [Column]
    private var observations = 0
    private var cameraSizes: Set<String> = []
    private var clawValues = 0
    private var rows = 0

    /// - Parameter formats: compared with the first one's answers; the first is asked twice, to show what is chance.
    init(formats: [ObservationEncoder.ImageFormat], arms: Range<Int>, claws: Range<Int>) {
        self.formats = formats
        self.arms = arms
        self.claws = claws
        columns = formats.map { _ in Column() }
    }

    /// One observation's pictures as the cameras sent them.
    mutating func saw(_ frames: [CameraFrame]) throws {
        observations += 1
        for frame in frames {
            cameraSizes.insert("\(frame.width)x\(frame.height)")
            for (index, format) in formats.enumerated() {
                switch format {
                case .raw: columns[index].cameraBytes += frame.pixels.count
                case .jpeg(let quality):
                    columns[index].cameraBytes += try JPEGEncoder(quality: quality).encode(frame).count
                }
            }
        }
    }

    /// The answer to an observation in the encoding with number `index`.
    mutating func answered(_ chunk: ActionChunk, against reference: ActionChunk, bytes: Int, index: Int) {
        columns[index].policyBytes += bytes
        let last = min(chunk.rows, reference.rows)
        for row in 0..<last {
            for joint in arms {
                columns[index].differences.append(Double(abs(chunk[row, joint] - reference[row, joint])))
            }
            for claw in claws where (chunk[row, claw] > 50) != (reference[row, claw] > 50) {
                columns[index].turnedClaws += 1
            }
        }
        if index == 0 {
            rows += last
            clawValues += last * claws.count
        }
    }

    var table: String {
        let sizes = cameraSizes.sorted().joined(separator: ", ")
        var lines = [
            "\(observations) observations, \(rows) rows; difference to the answers with \(formats[0]), joints in rad",
            "",
            "| encoding | bytes per observation | bytes at the cameras' \(sizes) | mean | p99 | largest | claws the other way |",
            "|---|---|---|---|---|---|---|",
        ]
        for (format, column) in zip(formats, columns) {
            let mean = column.differences.reduce(0, +) / Double(max(1, column.differences.count))
            let p99 = UplinkTally.quantile(column.differences, 0.99) ?? 0
            lines.append(
                String(
                    format: "| %@ | %d | %d | %.5f | %.5f | %.5f | %d of %d |",
                    format.description,
                    column.policyBytes / max(1, observations),
                    column.cameraBytes / max(1, observations),
                    mean,
                    p99,
                    column.differences.max() ?? 0,
                    column.turnedClaws,
                    clawValues
                )
            )
        }
        return lines.joined(separator: "\n")
    }
}
