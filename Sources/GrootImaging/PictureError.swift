/// Why an image could not be read or written.
package struct PictureError: Error, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The bytes are no JPEG, or one of a kind that is not read here (CMYK, 12 bit).
        case notJPEG
        /// The bytes are no PNG.
        case notPNG
        /// The bytes begin as a picture but end early or are damaged.
        case damaged
        /// The picture is larger than the reader allows.
        case tooLarge
        /// The picture has another size than was announced.
        case otherSize
        /// The library refused to write.
        case encodingFailed
    }

    package var code: Code
    /// What is wrong and what to do about it.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
