extension SessionMachine {
    /// Obeys what was ordered since the last tick, in every phase; the most severe order first.
    ///
    /// - Parameter interrupts: how many interrupts there were in all.
    package mutating func ordered(_ orders: Orders, interrupts: UInt32, at tick: Int64, _ inputs: ControlInputs) {
        guard !orders.isEmpty else { return }
        self.interrupts = interrupts
        var hasStopped = false
        for order in Order.allCases where orders.contains(Orders(order)) {
            if hasStopped, order.isGo { continue }
            let reaction = OrderTable.reaction(
                to: order,
                in: phase,
                isAttended: configuration.isAttended,
                isSecond: order == .interrupt && interrupts &- settledInterrupts >= 2
            )
            obey(reaction, order, at: tick, inputs)
            if !order.isGo, reaction != .ignored, reaction != .goOn { hasStopped = true }
        }
    }

    private mutating func obey(_ reaction: OrderReaction, _ order: Order, at tick: Int64, _ inputs: ControlInputs) {
        switch reaction {
        case .ignored: break
        case .stop:
            endEpisode(order)
            rest(.stopped, at: tick, inputs)
        case .pause: pause(at: tick, inputs)
        case .goOn: goOn(at: tick, inputs)
        case .home:
            endEpisode(order)
            settledInterrupts = interrupts
            rest(.homing(Move(id: 0, opensClaws: false, isOrdered: true)), at: tick, inputs)
        case .endEpisode:
            guard isInEpisode else {
                if order == .retry { goOn(at: tick, inputs) }
                return
            }
            endEpisode(order)
            rest(.standing, at: tick, inputs)
        case .leave:
            endEpisode(order)
            leaveOrder = leaveOrder ?? order
            rest(.leaving, at: tick, inputs)
        case .leaveAtOnce:
            endEpisode(order)
            leaveOrder = leaveOrder ?? order
            state = .leaving
            stream = .none
        }
    }

    private mutating func endEpisode(_ order: Order) {
        if isInEpisode { episodeEnd = .ordered(order) }
    }

    private mutating func pause(at tick: Int64, _ inputs: ControlInputs) {
        switch state {
        // A key that bounces is one pause.
        case .stopping(.paused): break
        case .stopping(.waiting): rest(.paused(.inEpisode), at: tick, inputs)
        // Who drove the arms home says how to go on afterwards, too.
        case .homing(let move) where move.isOrdered: rest(.stopped, at: tick, inputs)
        case .stopping(.homing(let move)) where move.isOrdered: rest(.stopped, at: tick, inputs)
        case .holding(_, .homing(let move)) where move.isOrdered: rest(.stopped, at: tick, inputs)
        default: rest(.paused(isInEpisode ? .inEpisode : .between), at: tick, inputs)
        }
    }

    private mutating func goOn(at tick: Int64, _ inputs: ControlInputs) {
        settledInterrupts = interrupts
        switch state {
        case .stopped, .paused(.between): arrived(.standing, at: tick, inputs)
        case .paused(.inEpisode): arrived(.waiting, at: tick, inputs)
        // Only a look at the chunk lets it go.
        case .paused(.approval): break
        case .stopping(.stopped), .stopping(.paused(.between)): state = .stopping(.standing)
        case .stopping(.paused(.inEpisode)): state = .stopping(.waiting)
        default: break
        }
    }
}
