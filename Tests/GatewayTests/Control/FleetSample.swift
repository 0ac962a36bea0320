import Foundation
import GrootAPI
import SwiftProtobuf

/// Requests as a healthy agent sends them.
enum FleetSample {
    static func register(_ robot: String) -> Groot_V1_RegisterRobotRequest {
        .with {
            $0.robot = robot
            $0.boot = "b1"
            $0.profile = "5_wheel"
            $0.agentVersion = "1.0"
            $0.host = "robot-7"
        }
    }

    static func start(_ robot: String, _ episode: UUID) -> Groot_V1_StartEpisodeRequest {
        .with {
            $0.episodeID = episode.uuidString
            $0.robot = robot
            $0.boot = "b1"
            $0.task = "Depalletize the green box"
            $0.checkpoint = "groot-mini"
            $0.checkpointSha256 = "abc"
            $0.runConfigJson = #"{"mode":"async"}"#
            $0.mode = "async"
            $0.startedAtUnixNs = 1_700_000_000_000_000_000
        }
    }

    static func finish(_ robot: String, _ episode: UUID) -> Groot_V1_FinishEpisodeRequest {
        .with {
            $0.episodeID = episode.uuidString
            $0.robot = robot
            $0.outcome = .success
            $0.decidedBy = "simulator"
            $0.finishedAtUnixNs = 1_700_000_010_000_000_000
            $0.durationNs = 10_000_000_000
            $0.ticks = 1000
            $0.chunks = 3
        }
    }

    static func event(_ sequence: UInt64) -> Groot_V1_Event {
        .with {
            $0.sequence = sequence
            $0.happenedAtUnixNs = 1_700_000_001_000_000_000
            $0.kind = "operator"
            $0.name = "note"
            $0.message = "all well"
        }
    }

    static func telemetry(_ robot: String, _ sequences: Range<UInt64>, episode: UUID = UUID())
        -> Groot_V1_ReportTelemetryRequest
    {
        .with { request in
            request.robot = robot
            request.boot = "b1"
            request.inferences = sequences.map { sequence in
                .with {
                    $0.sequence = sequence
                    $0.episodeID = episode.uuidString
                    $0.requestID = UUID().uuidString
                    $0.worker = "w1"
                    $0.checkpoint = "groot-mini"
                    $0.capturedAtUnixNs = 1_700_000_001_000_000_000
                    $0.latencyNs = 50_000_000
                    $0.runwayAtArrivalNs = -5
                    $0.timings.inferNs = 20_000_000
                    $0.status = "OK"
                }
            }
        }
    }
}
