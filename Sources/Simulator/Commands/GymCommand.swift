import ArgumentParser
import Foundation
import GrootCore

/// Lock-step simulation over standard input and output.
struct GymCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym",
        abstract: "Step cells on request, for closed-loop evaluation of a policy.",
        discussion: """
            Reads one JSON object per line, answers one JSON line followed by image_bytes raw bytes (head then \
            chest, each 96x96x3 RGB). Requests: {"cmd":"reset","cell":0,"seed":7,"task":"...","options":{}} \
            starts an episode (without task: the scene's own sentence; options: "timeout_s"; "expert":true adds \
            the expert's chunk to every answer); {"cmd":"step","cell":0,"targets":[[16 numbers]...]} runs 0.1 s: \
            one row is approached linearly, ten rows are 100 Hz ticks (any other count runs that many ticks); \
            "images":false skips rendering. Targets are 14 joints in rad and 2 claws 0…100. Answers hold \
            outcome ("running" until decided), reason, state [16], time_s, task, target (0 left, 1 right, -1 \
            none), colours (upper left, upper right, lower left, lower right), image_bytes. Errors: {"error":"..."}.
            """
    )

    @Option(help: "Number of cells.") var cells = 1

    func run() throws {
        SoftwareRendering.useCallingThread()
        guard (1...1024).contains(cells) else { throw ValidationError("--cells must be 1 to 1024") }
        var gym = Gym(cells: cells)
        while let line = readLine() {
            FileHandle.standardOutput.write(gym.answer(line))
        }
    }
}

/// The cells of one gym process; single-threaded.
struct Gym {
    private struct Request: Decodable {
        struct Options: Decodable {
            var timeoutS: Double?
            var expert: Bool?
        }
        var cmd: String
        var cell: Int
        var seed: UInt64?
        var task: String?
        var options: Options?
        var targets: [[Double]]?
        var images: Bool?
    }

    private struct Answer: Encodable {
        var cell: Int
        var outcome: String
        var reason: String
        var state: [Double]
        var timeS: Double
        var task: String
        var target: Int
        var colours: [String]
        var expert: [[Double]]?
        var imageBytes: Int
    }

    private struct Slot {
        var cell: Cell
        var expert: Expert?
    }

    private var slots: [Slot?]

    init(cells: Int) {
        slots = (0..<cells).map { _ in nil }
    }

    /// One answer: a JSON line and the images' bytes.
    mutating func answer(_ line: String) -> Data {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try handle(decoder.decode(Request.self, from: Data(line.utf8)))
        } catch {
            return encoded(["error": "\(error)"])
        }
    }

    private mutating func handle(_ request: Request) throws -> Data {
        guard slots.indices.contains(request.cell) else {
            throw SimulatorError(.badRequest, "there is no cell \(request.cell); this gym has \(slots.count)")
        }
        switch request.cmd {
        case "reset":
            var limits = EpisodeJudge.Limits()
            if let timeout = request.options?.timeoutS { limits.timeout = timeout }
            slots[request.cell] = nil
            let cell = try Cell(seed: request.seed ?? 0, task: request.task, limits: limits)
            slots[request.cell] = Slot(
                cell: cell,
                expert: request.options?.expert == true ? Expert(target: cell.target) : nil
            )
        case "step":
            guard let cell = slots[request.cell]?.cell else {
                throw SimulatorError(.badRequest, "cell \(request.cell) must be reset first")
            }
            guard let targets = request.targets, !targets.isEmpty, targets.count <= 1000,
                targets.allSatisfy({ $0.count == 16 && $0.allSatisfy(\.isFinite) })
            else { throw SimulatorError(.badRequest, "targets must be 1 to 1000 rows of 16 finite numbers") }
            if targets.count == 1 {
                cell.advance(to: targets[0])
            } else {
                for target in targets { cell.advanceTick(to: target) }
            }
        default:
            throw SimulatorError(.badRequest, "cmd must be reset or step, not \(request.cmd)")
        }
        guard var slot = slots[request.cell] else { return Data() }
        let cell = slot.cell
        let rows = slot.expert?.plan(command: cell.command, measured: cell.world.state, cartons: cell.world.cartons)
            .rows
        slots[request.cell] = slot
        let images = request.images == false ? [] : cell.images()
        let answer = Answer(
            cell: request.cell,
            outcome: cell.judge.verdict?.outcome.rawValue ?? "running",
            reason: cell.judge.verdict?.reason ?? "",
            state: cell.world.state,
            timeS: cell.world.time,
            task: cell.task,
            target: cell.target ?? -1,
            colours: cell.scene.cartons.map(\.colour.rawValue),
            expert: rows,
            imageBytes: images.reduce(0) { $0 + $1.pixels.count }
        )
        var data = encoded(answer)
        for image in images { data.append(contentsOf: image.pixels) }
        return data
    }

    private func encoded(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Plain numbers and strings always encode; the answer would otherwise be an empty line.
        var data = (try? encoder.encode(value)) ?? Data()
        data.append(0x0A)
        return data
    }
}
