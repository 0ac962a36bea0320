import Glibc

/// Calls `body` with NUL-terminated copies of `strings`, nil where a string is nil.
///
/// The copies live as long as the call. A string with a NUL inside is refused: it would arrive cut.
func withCStrings<Result>(
    _ strings: [String?],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>) throws(StoreError) -> Result
) throws(StoreError) -> Result {
    var copies: [UnsafePointer<CChar>?] = unsafe []
    defer {
        for index in unsafe copies.indices { unsafe free(UnsafeMutablePointer(mutating: copies[index])) }
    }
    for string in strings {
        guard let string else {
            unsafe copies.append(nil)
            continue
        }
        guard !string.utf8.contains(0) else {
            throw StoreError(.invalidValue, "a text contains the character U+0000, which PostgreSQL cannot store")
        }
        guard let duplicate = unsafe strdup(string) else { throw StoreError(.rejected, "out of memory") }
        unsafe copies.append(UnsafePointer(duplicate))
    }
    unsafe copies.append(nil)
    let result: Swift.Result<Result, StoreError> = unsafe copies.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return .failure(StoreError(.rejected, "empty parameter list")) }
        do throws(StoreError) {
            return .success(unsafe try body(base))
        } catch {
            return .failure(error)
        }
    }
    return try result.get()
}
