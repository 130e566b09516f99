// SPDX-License-Identifier: Apache-2.0

/// Bytes of one header inside a frame, loaded and stored in host byte order.
///
/// Only ``Frame/bytes(at:count:)`` makes one, after checking that the bytes exist; the offsets
/// used on it are literals of the header types, which a debug build checks again. This is where
/// byte order ends: no value above it is in network order.
@safe
struct HeaderBytes {
    private let start: UnsafeMutableRawPointer
    private let count: Int

    @inline(__always)
    init(_ start: UnsafeMutableRawPointer, count: Int) {
        unsafe self.start = start
        self.count = count
    }

    /// The big-endian integer at `offset`.
    @inline(__always)
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T
    {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        return unsafe T(bigEndian: start.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Writes `value` big-endian at `offset`.
    @inline(__always)
    func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        unsafe start.storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }

    /// The integer at `offset` as it lies in memory, for values that are only copied.
    @inline(__always)
    func loadRaw<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: T.self)
    }

    /// Writes `value` at `offset` as it lies in memory.
    @inline(__always)
    func storeRaw<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        unsafe start.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }
}
