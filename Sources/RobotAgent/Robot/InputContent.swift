/// What one message of the robot says, as far as the contract judges it. Made by `InputReading`.
package enum InputContent: Sendable, Equatable {
    /// Arm joints in the profile's order, rad, out of so many in the message.
    case joints([Float], total: Int)
    /// Claws in the profile's order, or the values of an extra, out of so many in the message.
    case values([Float], total: Int)
    case picture(PictureForm)
    case unusable(InputFlaw)
}

/// Size and encoding of a picture.
package struct PictureForm: Sendable, Hashable, CustomStringConvertible {
    package var width: Int
    package var height: Int
    package var encoding: String

    package init(width: Int, height: Int, encoding: String) {
        self.width = width
        self.height = height
        self.encoding = encoding
    }

    package var description: String { "\(width)x\(height) \(encoding)" }
}

/// Why a message cannot be used.
package struct InputFlaw: Sendable, Hashable {
    package var kind: InputFinding.Kind
    package var what: String
    package var remedy: String

    package init(_ kind: InputFinding.Kind, _ what: String, _ remedy: String) {
        self.kind = kind
        self.what = what
        self.remedy = remedy
    }
}
