import Foundation
import GrootAPI
import GrootCore
import GrootSecurity

extension RunFlags {
    /// Collects what is wrong while values are converted.
    private struct Checker {
        var problems: [String] = []

        mutating func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }

        mutating func address(_ text: String, _ flag: String, port: Int) -> Endpoint? {
            do {
                return try Endpoint(parsing: text, defaultPort: port)
            } catch {
                problems.append("\(flag): \(error)")
                return nil
            }
        }

        mutating func time(_ text: String?, _ flag: String) -> Duration? {
            guard let text else { return nil }
            guard let duration = RunFlags.duration(text), duration > .zero else {
                problems.append("\(flag) \(text): expected a positive time such as 20s or 500ms")
                return nil
            }
            return duration
        }
    }

    /// Checks all flags together; nothing is opened or contacted.
    ///
    /// - Parameters:
    ///   - arguments: the command line, to know which flags were given by hand.
    ///   - isTerminal: a person may sit at standard input.
    func checked(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        arguments: [String] = [],
        isTerminal: Bool = OperatorDesk.hasTerminal
    ) -> Result<AgentConfiguration, Problems> {
        var checker = Checker()
        checker.require(
            AgentConfiguration.isUsable(robot: basics.robot),
            "--robot \"\(basics.robot)\": expected 1 to 64 letters, digits, _ or -"
        )
        checker.require(!basics.task.allSatisfy(\.isWhitespace), "--task is empty")
        checker.require(
            PeopleText.line(basics.task, limit: .max) == basics.task,
            "--task holds control characters; it would not be stored"
        )
        checker.require(
            motion.actionChunkSize.map { (1...1000).contains($0) } ?? true,
            "--action-chunk-size: expected 1 to 1000"
        )
        let threshold = RequestPlanner.Threshold(motion.chunkSizeThreshold)
        checker.require(
            threshold != nil,
            "--chunk-size-threshold \(motion.chunkSizeThreshold): expected more than 0, at most 1, or auto"
        )
        let aggregate = AggregateFunction(rawValue: motion.aggregateFn.replacing("-", with: "_"))
        let names = AggregateFunction.allCases.map(\.rawValue).joined(separator: ", ")
        checker.require(aggregate != nil, "--aggregate-fn \(motion.aggregateFn): expected one of \(names)")
        let planned = RequestPlanner.Mode(rawValue: motion.mode)
        checker.require(planned != nil, "--mode \(motion.mode): expected async, sync or rtc")
        checker.require((10...1000).contains(motion.blendMs), "--blend-ms \(motion.blendMs): expected 10 to 1000")
        checker.require(
            basics.fps.map { (0.1...1000).contains($0) } ?? true,
            "--fps \(basics.fps ?? 0): expected 0.1 to 1000"
        )
        checker.require(
            Self.duration(records.thumbnailInterval).map { $0 == .zero || $0 >= .milliseconds(100) } ?? false,
            "--thumbnail-interval \(records.thumbnailInterval): expected 0, or at least 100ms"
        )
        checker.require(
            (1...1_000_000).contains(records.spoolLimitMb),
            "--spool-limit-mb \(records.spoolLimitMb): expected 1 to 1000000"
        )
        checker.require(
            (1...100_000).contains(session.episodes),
            "--episodes \(session.episodes): expected 1 to 100000"
        )
        checkMotion(&checker, mode: planned)
        let format = ObservationEncoder.ImageFormat(records.imageEncoding)
        checker.require(format != nil, "--image-encoding \(records.imageEncoding): expected raw or jpeg:1 to jpeg:100")
        let master = process.rosMaster ?? environment["ROS_MASTER_URI"] ?? "http://127.0.0.1:\(DefaultPort.rosMaster)"
        checker.require(
            URL(string: master).map { $0.scheme == "http" && $0.host() != nil } ?? false,
            "--ros-master \(master): expected http://HOST:PORT"
        )
        let gateways = basics.gateway.split(separator: ",").compactMap {
            checker.address(String($0), "--gateway", port: DefaultPort.gateway)
        }
        checker.require(!basics.gateway.isEmpty, "--gateway is empty")
        let adminAddress = process.admin.flatMap { $0 == "off" ? nil : checker.address($0, "--admin", port: 0) }
        if case .unix? = adminAddress { checker.problems.append("--admin: expected HOST:PORT") }
        var tlsFiles: TLSFiles?
        do throws(TLSError) { tlsFiles = try tls.files() } catch { checker.problems.append(error.description) }
        let limit = checker.time(session.episodeTimeout, "--episode-timeout")
        let deadline = checker.time(records.requestTimeout, "--request-timeout")
        let ready = checker.time(session.readyTimeout, "--ready-timeout")
        checker.require(!(session.attended && session.unattended), "--attended contradicts --unattended")
        checker.require(session.judge.map { !$0.allSatisfy(\.isWhitespace) } ?? true, "--judge is empty")
        let judging = checker.time(session.judgeTimeout, "--judge-timeout")
        let handBack = checker.time(process.handBackTimeout, "--hand-back-timeout")
        guard checker.problems.isEmpty, let first = gateways.first, let aggregate, let planned, let deadline, let ready,
            let handBack, let judging, let threshold, let format
        else { return .failure(Problems(lines: checker.problems)) }
        var result = AgentConfiguration(
            robot: basics.robot,
            task: basics.task,
            gateway: first,
            rosMaster: master,
            stateDirectory: URL(fileURLWithPath: records.stateDir ?? ".state/agent-\(basics.robot)")
        )
        result.gateways = gateways
        result.checkpoint = basics.checkpoint.map(AgentConfiguration.checkpointName)
        result.checkpointPath = basics.checkpoint.flatMap { AgentConfiguration.isPath($0) ? $0 : nil }
        result.expectedRate = basics.fps
        result.dataset = basics.lerobotDatasetPath.map { URL(fileURLWithPath: $0) }
        result.isStrict = basics.strict
        result.chunkSize = motion.actionChunkSize
        result.threshold = threshold
        result.aggregate = aggregate
        result.blend = .milliseconds(motion.blendMs)
        result.mode = planned
        result.imageFormat = format
        result.profile = basics.profile
        result.rotatesHeadCamera = records.rotateHeadCamera
        result.rosHost = process.rosHost ?? AgentNode.host(environment)
        result.admin = adminAddress
        result.spoolBytes = records.spoolLimitMb << 20
        result.episodes = session.episodes
        result.seed = session.seed
        result.episodeTimeout = limit
        result.requestTimeout = deadline
        result.readyTimeout = ready
        result.handBackTimeout = handBack
        result.judge = session.judge.map { JudgeCommand(command: $0, limit: judging) }
        result.isAttended = session.attended || (!session.unattended && isTerminal)
        result.requiresSuccess = session.requireSuccess
        result.printsJSON = session.json
        result.tls = tlsFiles
        result.tlsReload = .seconds(tls.tlsReload)
        fillMotion(&result)
        result.explicitFlags = Self.explicit(in: arguments)
        return .success(result)
    }

    private func checkMotion(_ checker: inout Checker, mode: RequestPlanner.Mode?) {
        checker.require(
            (0...1000).contains(motion.rtcOverlap),
            "--rtc-overlap \(motion.rtcOverlap): expected 0 to 1000 rows"
        )
        checker.require(motion.chunkStart >= 0, "--chunk-start \(motion.chunkStart): expected 0 or more")
        checker.require(
            motion.chunkEnd.map { $0 >= motion.chunkStart && $0 < 1000 } ?? true,
            "--chunk-end \(motion.chunkEnd ?? 0): expected a row not before --chunk-start \(motion.chunkStart)"
        )
        checker.require(
            motion.maxJointVelocity.map { (0.01...100).contains($0) } ?? true,
            "--max-joint-velocity: expected 0.01 to 100 rad/s"
        )
        checker.require(
            (1...10).contains(motion.actionStride),
            "--action-stride \(motion.actionStride): expected 1 to 10"
        )
        if let mode, mode != .sync {
            checker.require(motion.actionStride == 1, "--action-stride \(motion.actionStride) needs --mode sync")
            checker.require(!motion.pauseBeforeChunk, "--pause-before-chunk needs --mode sync")
        }
        checker.require(
            (0...100).contains(motion.clawLatchThreshold) && (0...100).contains(motion.clawLatchValue)
                && (1...1000).contains(motion.clawLatchCount),
            "--claw-latch-...: expected threshold and value 0 to 100, count 1 to 1000"
        )
        checker.require(
            motion.freezeArm.map { AgentConfiguration.Arm(rawValue: $0) != nil } ?? true,
            "--freeze-arm \(motion.freezeArm ?? ""): expected left or right"
        )
        checker.require(process.controlCpu.map { (0..<1024).contains($0) } ?? true, "--control-cpu: expected 0 to 1023")
    }

    private func fillMotion(_ result: inout AgentConfiguration) {
        result.shape.start = motion.chunkStart
        result.shape.end = motion.chunkEnd
        result.shape.stride = motion.actionStride
        result.shape.maximumVelocity = motion.maxJointVelocity.map { Float($0) }
        result.hedges = records.hedge
        result.prefixOverlap = motion.rtcOverlap
        result.pausesBeforeChunk = motion.pauseBeforeChunk
        result.frozenArm = motion.freezeArm.flatMap(AgentConfiguration.Arm.init)
        if motion.clawLatch {
            var latch = ClawLatch.Configuration()
            latch.threshold = Float(motion.clawLatchThreshold)
            latch.count = motion.clawLatchCount
            latch.value = Float(motion.clawLatchValue)
            result.clawLatch = latch
        }
        result.zeroesState = records.stateZero
        result.zeroedCameras = Set(records.imageZero)
        result.isDryRun = motion.dryRun
        result.recording = records.record.map { URL(fileURLWithPath: $0) }
        if let interval = Self.duration(records.thumbnailInterval) {
            result.thumbnailInterval = interval > .zero ? interval : nil
        }
        result.pullsRunConfig = !records.noRunConfig
        result.realTime.isWanted = !process.noRealtime
        result.realTime.cpu = process.controlCpu
    }

    /// Names of the options in a command line, in snake case, so that they compare with a run configuration's keys.
    static func explicit(in arguments: [String]) -> Set<String> {
        var names: Set<String> = []
        for argument in arguments {
            if argument == "--" { break }
            guard argument.hasPrefix("--") else { continue }
            names.insert(String(argument.dropFirst(2).prefix { $0 != "=" }).replacing("-", with: "_"))
        }
        return names
    }
}
