extension InputFlaw {
    /// Joint angles against what the joints can be; nil when they can be measured ones.
    init?(joints values: [Float], _ joints: [InputContract.Measurable]) {
        if let flaw = Self.outside(values, joints, unit: "rad") {
            self = flaw
            return
        }
        // One arm whose encoders are not ready counts, too; a real encoder never reads exactly 0 on many joints.
        let zeros = zip(joints, values).filter { $1 == 0 }.map(\.0.name)
        guard !values.isEmpty, zeros.count * 2 >= values.count else { return nil }
        self.init(
            .notReady,
            "\(zeros.count) of \(values.count) joints read exactly 0, \(zeros[0]) first",
            "the encoders are not ready: wait for the robot, or restart its driver"
        )
    }

    /// Claws against their range, others for being numbers.
    init?(values: [Float], _ claws: [InputContract.Measurable]) {
        if let flaw = Self.outside(values, claws, unit: "") {
            self = flaw
            return
        }
        return nil
    }

    init?(picture form: PictureForm) {
        let (pixels, overflow) = form.width.multipliedReportingOverflow(by: form.height)
        guard overflow || pixels > InputContract.maximumPixels || form.width < 1 || form.height < 1 else { return nil }
        self.init(
            .unreadable,
            "\(form.width)x\(form.height) pixels",
            "at most \(InputContract.maximumPixels) are read; lower the camera's resolution"
        )
    }

    /// A count that the profile does not expect.
    static func count(_ found: Int, _ noun: String, expected: String) -> InputFlaw {
        InputFlaw(.unreadable, "\(found) \(noun), \(expected)", "is this the right --profile for the robot?")
    }

    private static func outside(
        _ values: [Float],
        _ limits: [InputContract.Measurable],
        unit: String
    ) -> InputFlaw? {
        for (index, value) in values.enumerated() where !value.isFinite {
            let name = index < limits.count ? limits[index].name : "value \(index + 1)"
            return InputFlaw(.outOfRange, "\(name) reads \(value)", "it is no number; look at its driver")
        }
        for (limit, value) in zip(limits, values) {
            let range = limit.range
            guard value < range.lowerBound - limit.margin || value > range.upperBound + limit.margin else { continue }
            let suffix = unit.isEmpty ? "" : " \(unit)"
            let isDegrees = unit == "rad" && abs(value) > 2 * Float.pi
            return InputFlaw(
                .outOfRange,
                "\(limit.name) reads \(value.rounded(digits: 1))\(suffix), "
                    + "its range is \(text(range.lowerBound)) to \(text(range.upperBound))",
                isDegrees
                    ? "are these degrees? The robot must publish rad"
                    : "is this the right --profile, are the encoders calibrated?"
            )
        }
        return nil
    }

    /// A limit without a needless fraction.
    private static func text(_ value: Float) -> String {
        value == value.rounded() && abs(value) < 1000 ? "\(Int(value))" : "\(value)"
    }
}
