import Foundation

/// How Mesa's software renderer uses this process.
enum SoftwareRendering {
    /// Keeps drawing on the thread that asks for it, unless the user set `LP_NUM_THREADS`.
    ///
    /// Before the first context.
    static func useCallingThread() {
        unsafe setenv("LP_NUM_THREADS", "0", 0)
    }
}
