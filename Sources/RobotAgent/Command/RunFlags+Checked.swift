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
    /// - Parameter arguments: the command line, to know which flags were given by hand.
    func checked(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        arguments: [String] = []
    ) -> Result<AgentConfiguration, Problems> {
        var checker = Checker()
        checker.require(
            AgentConfiguration.isUsable(robot: robot),
            "--robot \"\(robot)\": expected 1 to 64 letters, digits, _ or -"
        )
        checker.require(!task.allSatisfy(\.isWhitespace), "--task is empty")
        checker.require(
            actionChunkSize.map { (1...1000).contains($0) } ?? true,
            "--action-chunk-size: expected 1 to 1000"
        )
        let threshold = RequestPlanner.Threshold(chunkSizeThreshold)
        checker.require(
            threshold != nil,
            "--chunk-size-threshold \(chunkSizeThreshold): expected more than 0, at most 1, or auto"
        )
        let aggregate = AggregateFunction(rawValue: aggregateFn.replacing("-", with: "_"))
        let names = AggregateFunction.allCases.map(\.rawValue).joined(separator: ", ")
        checker.require(aggregate != nil, "--aggregate-fn \(aggregateFn): expected one of \(names)")
        let planned = RequestPlanner.Mode(rawValue: mode)
        checker.require(planned != nil, "--mode \(mode): expected async, sync or rtc")
        checker.require((10...1000).contains(blendMs), "--blend-ms \(blendMs): expected 10 to 1000")
        checker.require(
            fps == 100,
            "--fps \(fps): the arms are commanded at 100 Hz, always; chunk rows are 100 ms apart whatever the rate "
                + "(at --fps 30 the ancestor moved 3.3 times too slowly); leave the flag out"
        )
        checker.require(
            Self.duration(thumbnailInterval).map { $0 == .zero || $0 >= .milliseconds(100) } ?? false,
            "--thumbnail-interval \(thumbnailInterval): expected 0, or at least 100ms"
        )
        checker.require(
            (1...1_000_000).contains(spoolLimitMb),
            "--spool-limit-mb \(spoolLimitMb): expected 1 to 1000000"
        )
        checker.require((1...100_000).contains(episodes), "--episodes \(episodes): expected 1 to 100000")
        checkMotion(&checker, mode: planned)
        let format = ObservationEncoder.ImageFormat(imageEncoding)
        checker.require(format != nil, "--image-encoding \(imageEncoding): expected raw or jpeg:1 to jpeg:100")
        let master = rosMaster ?? environment["ROS_MASTER_URI"] ?? "http://127.0.0.1:\(DefaultPort.rosMaster)"
        checker.require(
            URL(string: master).map { $0.scheme == "http" && $0.host() != nil } ?? false,
            "--ros-master \(master): expected http://HOST:PORT"
        )
        let gateways = gateway.split(separator: ",").compactMap {
            checker.address(String($0), "--gateway", port: DefaultPort.gateway)
        }
        checker.require(!gateway.isEmpty, "--gateway is empty")
        let adminAddress = admin.flatMap { checker.address($0, "--admin", port: 0) }
        if case .unix? = adminAddress { checker.problems.append("--admin: expected HOST:PORT") }
        var tlsFiles: TLSFiles?
        do throws(TLSError) { tlsFiles = try tls.files() } catch { checker.problems.append(error.description) }
        let limit = checker.time(episodeTimeout, "--episode-timeout")
        let deadline = checker.time(requestTimeout, "--request-timeout")
        let ready = checker.time(readyTimeout, "--ready-timeout")
        guard checker.problems.isEmpty, let first = gateways.first, let aggregate, let planned, let deadline, let ready,
            let threshold, let format
        else { return .failure(Problems(lines: checker.problems)) }
        var result = AgentConfiguration(
            robot: robot,
            task: task,
            gateway: first,
            rosMaster: master,
            stateDirectory: URL(fileURLWithPath: stateDir ?? ".state/agent-\(robot)")
        )
        result.gateways = gateways
        result.checkpoint = checkpoint.map(AgentConfiguration.checkpointName)
        result.chunkSize = actionChunkSize
        result.threshold = threshold
        result.aggregate = aggregate
        result.blend = .milliseconds(blendMs)
        result.mode = planned
        result.imageFormat = format
        result.profile = profile
        result.rotatesHeadCamera = rotateHeadCamera
        result.rosHost = rosHost ?? environment["ROS_IP"] ?? "127.0.0.1"
        result.admin = adminAddress
        result.spoolBytes = spoolLimitMb << 20
        result.episodes = episodes
        result.seed = seed
        result.episodeTimeout = limit
        result.requestTimeout = deadline
        result.readyTimeout = ready
        result.requiresSuccess = requireSuccess
        result.printsJSON = json
        result.tls = tlsFiles
        result.tlsReload = .seconds(tls.tlsReload)
        fillMotion(&result)
        result.explicitFlags = Self.explicit(in: arguments)
        return .success(result)
    }

    private func checkMotion(_ checker: inout Checker, mode: RequestPlanner.Mode?) {
        checker.require((0...1000).contains(rtcOverlap), "--rtc-overlap \(rtcOverlap): expected 0 to 1000 rows")
        checker.require(chunkStart >= 0, "--chunk-start \(chunkStart): expected 0 or more")
        checker.require(
            chunkEnd.map { $0 >= chunkStart && $0 < 1000 } ?? true,
            "--chunk-end \(chunkEnd ?? 0): expected a row not before --chunk-start \(chunkStart)"
        )
        checker.require(
            maxJointVelocity.map { (0.01...100).contains($0) } ?? true,
            "--max-joint-velocity: expected 0.01 to 100 rad/s"
        )
        checker.require(
            [1, 2, 5, 10].contains(actionStride),
            "--action-stride \(actionStride): expected 1, 2, 5 or 10"
        )
        if let mode, mode != .sync {
            checker.require(actionStride == 1, "--action-stride \(actionStride) needs --mode sync")
            checker.require(!pauseBeforeChunk, "--pause-before-chunk needs --mode sync")
        }
        checker.require(
            (0...100).contains(clawLatchThreshold) && (0...100).contains(clawLatchValue)
                && (1...1000).contains(clawLatchCount),
            "--claw-latch-...: expected threshold and value 0 to 100, count 1 to 1000"
        )
        checker.require(
            freezeArm.map { AgentConfiguration.Arm(rawValue: $0) != nil } ?? true,
            "--freeze-arm \(freezeArm ?? ""): expected left or right"
        )
        checker.require(controlCpu.map { (0..<1024).contains($0) } ?? true, "--control-cpu: expected 0 to 1023")
    }

    private func fillMotion(_ result: inout AgentConfiguration) {
        result.shape.start = chunkStart
        result.shape.end = chunkEnd
        result.shape.stride = actionStride
        result.shape.maximumVelocity = maxJointVelocity.map { Float($0) }
        result.hedges = hedge
        result.prefixOverlap = rtcOverlap
        result.pausesBeforeChunk = pauseBeforeChunk
        result.frozenArm = freezeArm.flatMap(AgentConfiguration.Arm.init)
        if clawLatch {
            var latch = ClawLatch.Configuration()
            latch.threshold = Float(clawLatchThreshold)
            latch.count = clawLatchCount
            latch.value = Float(clawLatchValue)
            result.clawLatch = latch
        }
        result.zeroesState = stateZero
        result.zeroedCameras = Set(imageZero)
        result.isDryRun = dryRun
        result.recording = record.map { URL(fileURLWithPath: $0) }
        if let interval = Self.duration(thumbnailInterval) {
            result.thumbnailInterval = interval > .zero ? interval : nil
        }
        result.pullsRunConfig = !noRunConfig
        result.realTime.isWanted = !noRealtime
        result.realTime.cpu = controlCpu
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
