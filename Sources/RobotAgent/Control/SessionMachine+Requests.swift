import GrootCore

extension SessionMachine {
    /// Takes a step that the run asks for; without a place in this phase it is ignored.
    ///
    /// - Returns: what became of a chunk.
    package mutating func requested(
        _ request: ControlRequest,
        at tick: Int64,
        _ inputs: ControlInputs
    ) -> MergeReport? {
        switch request {
        case .merge(let arrival): return merged(arrival, at: tick, inputs)
        case .home(let id, let opensClaws):
            let move = Move(id: id, opensClaws: opensClaws, isOrdered: false)
            switch state {
            case .silent, .standing, .stopping(.standing): rest(.homing(move), at: tick, inputs)
            default: break
            }
        case .beginEpisode(let tuning): beginEpisode(tuning, at: tick, inputs)
        case .askedApproval:
            if wantsChunks { rest(.paused(.approval), at: tick, inputs) }
        case .approved:
            switch state {
            case .paused(.approval), .stopping(.paused(.approval)):
                rest(.waiting, at: tick, inputs)
                // The chunk that was looked at rests on an observation from before.
                freshFrom = .min
            default: break
            }
        case .endEpisode:
            if isInEpisode { rest(.standing, at: tick, inputs) }
        case .release:
            switch state {
            case .standing, .stopping(.standing): rest(.silent, at: tick, inputs)
            default: break
            }
        case .leave: rest(.leaving, at: tick, inputs)
        case .handedBack:
            if case .leaving = state { state = .ended }
        }
        return nil
    }

    /// Sets out from rest: for the next way-point, or home when there is none left.
    mutating func begin(_ move: Move, at tick: Int64, _ inputs: ControlInputs) {
        guard anchored(at: tick, inputs) else { return }
        chooseStart(inputs)
        latch?.reset()
        watch.reset()
        setOut(move)
    }

    /// Goes on from a way-point that was just reached.
    mutating func passed(_ move: Move) {
        passedWayPoints += 1
        gate.halted()
        for index in target.indices { target[index] = gate.output[index] }
        setOut(move)
    }

    /// Plans the way from `target`; what is frozen stays.
    ///
    /// A person who orders the arms home gets the straight way: they see what is in it.
    private mutating func setOut(_ move: Move) {
        let isApproach = !move.isOrdered && passedWayPoints < configuration.wayPoints.count
        let pose = isApproach ? configuration.wayPoints[passedWayPoints] : configuration.home
        for index in target.indices {
            let goal: Float =
                if arms.contains(index) {
                    gate.isFrozen(index) ? target[index] : pose[index - arms.lowerBound]
                } else if configuration.queue.claws.contains(index) {
                    move.opensClaws ? configuration.openClaw : target[index]
                } else { 0 }
            plan.aimed(at: goal, dimension: index)
        }
        let velocity = min(configuration.homingVelocity, configuration.maximumVelocity ?? .infinity)
        plan.began(from: target, velocity: velocity, acceleration: configuration.limits.acceleration)
        gate.velocityCap = velocity
        state = isApproach ? .approaching(move) : .homing(move)
    }

    private mutating func beginEpisode(_ tuning: EpisodeTuning, at tick: Int64, _ inputs: ControlInputs) {
        switch state {
        case .silent, .standing: break
        default: return
        }
        guard anchored(at: tick, inputs) else { return }
        queue.tune(aggregate: tuning.aggregate, blendTicks: rate.ticks(covering: tuning.blend))
        gate.velocityCap = min(tuning.maximumVelocity ?? .infinity, configuration.maximumVelocity ?? .infinity)
        gate.halted()
        counters = EpisodeCounters()
        episodeEnd = nil
        latch?.reset()
        startOver(at: tick)
        // What the uplink observed for this episode is its own business.
        freshFrom = .min
    }

    private mutating func merged(_ arrival: ChunkArrival, at tick: Int64, _ inputs: ControlInputs) -> MergeReport {
        var report = MergeReport(
            id: arrival.id,
            result: nil,
            runwayAtArrival: runway(at: tick)
        )
        guard wantsChunks else {
            report.refusal = .noEpisode
            return report
        }
        var isFollowing = false
        if case .following = state { isFollowing = true }
        // A robot that stood still since before the capture is still where it was observed: its chunk begins now.
        // Taking rows off for the time that passed would make it leap over motion it never made.
        var hasStood = arrival.capturedTick.map { queue.endTick <= $0 } ?? true
        if case .waiting = state { hasStood = true }
        let anchor = hasStood ? tick - 1 : arrival.capturedTick ?? tick - 1
        if !isFollowing {
            report.refusal = refusal(of: arrival, anchor: anchor, hasStood: hasStood, at: tick, inputs)
            if report.refusal != nil { return report }
        }
        let before = isFollowing ? queue.velocityChange(at: queue.nextTick, arms: arms) : 0
        let result = queue.merge(arrival.chunk, capturedAt: anchor, observedAt: arrival.capturedTick)
        report.result = result
        planVersion += 1
        if case .applied = result {
            isPlanAged = arrival.capturedTick != nil
            observedTick = arrival.observedTick
            counters.chunks += 1
            if isFollowing {
                report.borderStep = max(0, queue.velocityChange(at: queue.nextTick, arms: arms) - before)
            }
            state = .following
        }
        return report
    }

    /// The first-action check: after every rest the first target must be near where the arms are.
    private mutating func refusal(
        of arrival: ChunkArrival,
        anchor: Int64,
        hasStood: Bool,
        at tick: Int64,
        _ inputs: ControlInputs
    ) -> MergeReport.Refusal? {
        if obstacle(inputs, elapsed: 1) != nil { return .noEpisode }
        if let observed = arrival.observedTick, observed < freshFrom { return .observedBefore }
        let chunk = arrival.chunk
        let passed = configuration.queue.grid.rows(dueWithin: tick - 1 - anchor)
        let row = min(passed, chunk.rows - 1)
        let fault = gate.firstActionArrived(
            { chunk.rows > 0 && $0 < chunk.dimensions ? chunk[row, $0] : .nan },
            measured: inputs.isMeasured ? inputs.measured : gate.output
        )
        if let fault {
            // Planned while the arms still moved, it says nothing against a chunk that was observed at rest.
            if case .farFromPose = fault, !hasStood { return .observedBefore }
            fail(fault, at: tick, inputs)
            return .unfit
        }
        if hasStood {
            chooseStart(inputs)
            queue.reset(at: tick, pose: target)
        }
        return nil
    }
}
