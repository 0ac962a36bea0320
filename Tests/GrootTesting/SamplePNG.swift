import Foundation

/// Small PNG files, made with Python's zlib: 4x2 pixels unless said.
package enum SamplePNG {
    /// A row of (200, 40, 20), then one of (1, 2, 3).
    package static let colours = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAE0lEQVR42mM4oSECRwyMTMxwBABStgQpaHVbDQAAAA"
            + "BJRU5ErkJggg=="
    )
    package static let grey = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAAAAABawyK/AAAADklEQVR42mPgBAIGEAEAAXIASRBhK9IAAAAASUVORK"
            + "5CYII="
    )
    /// Grey with 16 bits, as depth cameras send it.
    package static let depth = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAQAAAACEAAAAAAKU/78AAAAD0lEQVR42mMQMoFABhgDABM6AjGFdEbhAAAAAElFTk"
            + "SuQmCC"
    )
    package static let deepColours = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAQAAAACEAIAAACgWjZ3AAAAEElEQVR42mMQMsEOGXBJAACiqgaRXG1QZwAAAABJRU"
            + "5ErkJggg=="
    )
    /// Announces 60,000 x 60,000 pixels and holds one.
    package static let huge = bytes(
        "iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAIAAAAPsOIVAAAADElEQVR42mNgYGAAAAAEAAHI6uv5AAAAAElFTkSuQm"
            + "CC"
    )

    private static func bytes(_ text: String) -> [UInt8] { [UInt8](Data(base64Encoded: text) ?? Data()) }
}
