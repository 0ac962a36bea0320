package import GrootCore
import ROS1

/// What is known of one input: its publishers, their clock, and the newest message of each sort. Pure; part of `InputContract`.
package struct InputTrack: Sendable {
    package let demand: InputContract.Demand
    package var roster = PublisherRoster()
    /// Of the publisher that is followed.
    private var clock = StampClock()
    private var clockOf: String?
    /// Arrival of the newest message that was used.
    package private(set) var used: MonotonicInstant?
    /// Messages of the followed publisher, used or not.
    package private(set) var heard: UInt64 = 0
    /// Messages that were not used.
    package private(set) var refused: UInt64 = 0
    package private(set) var newest: MonotonicInstant?
    package private(set) var form: PictureForm?
    /// Values in the newest message that was used.
    package private(set) var total = 0
    /// Of the newest message, on the publisher's clock; nil when it has none.
    package private(set) var stamp: Int64?
    private var flaw: (InputFlaw, at: MonotonicInstant)?
    private var repeated: MonotonicInstant?
    private var doubtful: MonotonicInstant?
    private var hasSaidUnstamped = false

    /// Of the clock of the publisher that is followed.
    package var offset: Int64? { clock.offset }

    package init(_ demand: InputContract.Demand) {
        self.demand = demand
    }

    /// - Returns: when the message was made; nil when it must not be used.
    mutating func arrived(
        _ flaw: InputFlaw?,
        from publisher: String,
        stamp: Int64?,
        at now: MonotonicInstant,
        _ notices: inout [InputNotice]
    ) -> MonotonicInstant? {
        guard roster.heard(publisher) else {
            refused += 1
            return nil
        }
        if clockOf != publisher {
            if let clockOf {
                notices.append(
                    InputNotice(.publisherChanged, demand.topic, "\(publisher) publishes it now, before \(clockOf) did")
                )
            }
            clock = StampClock()
            clockOf = publisher
        }
        heard += 1
        newest = now
        self.stamp = stamp.flatMap { $0 == 0 ? nil : $0 }
        let captured = instant(of: stamp, at: now, publisher, &notices)
        if let flaw { self.flaw = (flaw, now) }
        guard flaw == nil, let captured else {
            refused += 1
            return nil
        }
        used = now
        return captured
    }

    mutating func counted(_ total: Int) { self.total = total }

    mutating func pictured(_ form: PictureForm, _ notices: inout [InputNotice]) {
        if let before = self.form, before != form, demand.isNeeded {
            notices.append(InputNotice(.imageSizeChanged, demand.topic, "pictures are \(form) now, before \(before)"))
        }
        self.form = form
    }

    private mutating func instant(
        of stamp: Int64?,
        at now: MonotonicInstant,
        _ publisher: String,
        _ notices: inout [InputNotice]
    ) -> MonotonicInstant? {
        guard let stamp else { return now }
        switch clock.arrived(stamp: stamp, at: now) {
        case .captured(let instant): return instant
        case .stepped(let instant, let step):
            let seconds = Float(step.seconds).rounded(digits: 2)
            notices.append(
                InputNotice(.clockStepped, demand.topic, "the clock of \(publisher) was set by \(seconds) s; followed")
            )
            return instant
        case .unstamped:
            if !hasSaidUnstamped {
                notices.append(
                    InputNotice(
                        .unstamped,
                        demand.topic,
                        "\(publisher) leaves its stamps empty; the time of arrival counts"
                    )
                )
            }
            hasSaidUnstamped = true
            return now
        case .repeated:
            repeated = now
            return nil
        case .doubtful:
            doubtful = now
            return nil
        }
    }

    // MARK: What is wrong

    package func finding(at now: MonotonicInstant) -> InputFinding? {
        let publishers = roster.names
        if publishers.count > 1 {
            return make(
                .doubled,
                "\(publishers.joined(separator: " and ")) publish it",
                "only one may: stop the other (rosnode kill, or end its launch file)",
                .doubledInput
            )
        }
        if let refusal = roster.refusal {
            return make(
                .unknownType,
                "\(refusal)",
                "this agent does not know what those bytes mean and uses none of them; update groot-agent or the robot",
                .unusableInput
            )
        }
        if let used, now - used <= demand.staleAfter { return nil }
        func isRecent(_ instant: MonotonicInstant?) -> Bool {
            instant.map { now - $0 <= demand.staleAfter } ?? false
        }
        if let flaw, isRecent(flaw.at) {
            return make(flaw.0.kind, flaw.0.what, flaw.0.remedy, .unusableInput)
        }
        if isRecent(repeated) {
            return make(
                .frozen,
                "messages keep coming with the same stamp",
                "its driver repeats its last message or its clock stands; restart it",
                demand.silence
            )
        }
        if isRecent(doubtful) {
            return make(
                .badStamps,
                "its stamps jump back and forth",
                "the age of what it measures is not known; look at that machine's clock (chronyc tracking)",
                demand.silence
            )
        }
        return silent(at: now)
    }

    private func silent(at now: MonotonicInstant) -> InputFinding {
        guard roster.isConnected else {
            return make(
                .silent,
                "nobody publishes it",
                "start its driver, or is it another profile's robot?",
                demand.silence
            )
        }
        let who = roster.names.joined(separator: " and ")
        let what =
            newest.map { "\(who) has sent nothing for \(Float((now - $0).seconds).rounded(digits: 1)) s" }
            ?? "\(who) publishes it, but nothing came"
        return make(.silent, what, "is that driver stuck (rostopic hz \(demand.topic))?", demand.silence)
    }

    private func make(
        _ kind: InputFinding.Kind,
        _ what: String,
        _ remedy: String,
        _ interlocks: Interlocks
    ) -> InputFinding {
        InputFinding(kind, demand.topic, what, remedy, interlocks)
    }
}
