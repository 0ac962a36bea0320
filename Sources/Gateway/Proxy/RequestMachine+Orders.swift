import GrootCore

/// What a request's machine is given and what it orders: its limits, its actions, and why there may be no worker.
extension RequestMachine {
    /// What it may do.
    struct Rules: Sendable {
        /// Attempts in all.
        var attempts = 3
        /// A second worker when the robot is about to run dry.
        var hedges = false
        /// A second worker when the answer is so late, and three times as late as expected; zero: never.
        var overdue = Duration.milliseconds(200)
        /// From the head to the last byte of the request.
        var uploadTimeout = Duration.seconds(30)
        /// Bytes per second of an upload, after a grace of a second.
        var uploadRate = 4096
        /// Longest wait for a worker to come up.
        var holdLimit = Duration.seconds(2)
        /// How often a second worker is looked for again.
        var hedgePause = Duration.milliseconds(50)
    }

    enum Action: Sendable, Equatable {
        /// Ask the scheduler (or the control plane) for somebody who takes it.
        case schedule
        /// The same after a failure.
        case reschedule(unseen: Bool)
        case askHedge
        case open(Try)
        /// Not needed any more, never used.
        case giveBack(Ticket)
        /// This worker said that it does not have the checkpoint, and another one had it.
        case contradict(Ticket)
        case cancel(Int, AttemptOutcome)
        /// Leave the queue.
        case withdraw
        /// Say whether anybody could take it, in `looked`.
        case look
        /// The upload is over: complete or not.
        case uploaded
        /// Headers and what there is of the body go to the robot, the rest follows.
        case passOn(Int)
        /// The whole answer of this attempt goes to the robot.
        case deliver(Int)
        /// The passed answer is complete.
        case finish
        /// The gateway's own answer.
        case answer(GRPCStatus, hint: Duration?)
        /// The end of an answer that was passed on and does not come to its own.
        case cutOff(GRPCStatus)
        case reset
    }

    /// Why a request got no worker.
    enum Denial: Sendable, Equatable {
        case shed(GRPCStatus, hint: Duration)
        case superseded(GRPCStatus)
        /// It is not repeated; what is said of that follows the failure's own text.
        case givenUp(String)
    }
}
