import CNGHTTP2

extension HTTP2Headers {
    /// Lends the fields in the library's form, which copies them.
    func withFields<Result>(_ body: (UnsafePointer<nghttp2_nv>?, Int) -> Result) -> Result {
        // The library wants mutable pointers but only reads.
        unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return body(nil, 0) }
            let start = unsafe UnsafeMutablePointer(mutating: base)
            return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: entries.count) { fields in
                for (index, entry) in entries.enumerated() {
                    let name = unsafe start + entry.offset
                    unsafe fields.initializeElement(
                        at: index,
                        to: nghttp2_nv(
                            name: name,
                            value: name + entry.nameLength,
                            namelen: entry.nameLength,
                            valuelen: entry.valueLength,
                            flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
                        )
                    )
                }
                return unsafe body(UnsafePointer(fields.baseAddress), entries.count)
            }
        }
    }
}
