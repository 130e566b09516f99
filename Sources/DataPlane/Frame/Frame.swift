// SPDX-License-Identifier: Apache-2.0

/// One packet's bytes inside a chunk, and the free bytes in front of them.
///
/// Its first `length` bytes exist: ``FrameMemory/frame(at:length:)`` checked it once. Valid until
/// its batch ends.
@safe
struct Frame {
    private let start: UnsafeMutableRawPointer
    /// Bytes of the frame, from the Ethernet header on.
    let length: Int
    /// Free bytes before the frame in its chunk.
    let headroom: Int

    @inline(__always)
    init(start: UnsafeMutableRawPointer, length: Int, headroom: Int) {
        unsafe self.start = start
        self.length = length
        self.headroom = headroom
    }

    /// A view of `count` bytes from `offset`; `nil` unless all of them are in the frame.
    @inline(__always)
    func bytes(at offset: Int, count: Int) -> HeaderBytes? {
        guard offset >= 0, offset &+ count <= length else { return nil }
        return unsafe HeaderBytes(start + offset, count: count)
    }

    /// The same packet with `count` more bytes in front, whose content is undefined; `nil` when
    /// the headroom is smaller.
    @inline(__always)
    func grown(by count: Int) -> Frame? {
        guard count >= 0, headroom >= count else { return nil }
        return unsafe Frame(
            start: start - count, length: length &+ count, headroom: headroom &- count)
    }

    /// The same packet cut to its first `length` bytes.
    ///
    /// - Precondition: not longer than the frame.
    @inline(__always)
    func cut(to length: Int) -> Frame {
        precondition(length <= self.length)
        return unsafe Frame(start: start, length: length, headroom: headroom)
    }

    /// The same packet cut to its first `length` bytes; `nil` when it has fewer.
    @inline(__always)
    func cutIfLonger(than length: Int) -> Frame? {
        guard length <= self.length else { return nil }
        return unsafe Frame(start: start, length: length, headroom: headroom)
    }

    /// A frame of other bounds, which its maker has checked.
    @inline(__always)
    func moved(by offset: Int, length: Int) -> Frame {
        assert(headroom + offset >= 0)
        return unsafe Frame(start: start + offset, length: length, headroom: headroom &+ offset)
    }

    /// The same packet without its first `count` bytes; `nil` when it has fewer.
    @inline(__always)
    func dropping(first count: Int) -> Frame? {
        guard count >= 0, count <= length else { return nil }
        return unsafe Frame(
            start: start + count, length: length &- count, headroom: headroom &+ count)
    }

    /// Where the frame lies in the memory, if `other` in the same chunk lies at `address`.
    @inline(__always)
    func address(insteadOf other: Frame, at address: UInt64) -> UInt64 {
        address &+ UInt64(bitPattern: Int64(headroom &- other.headroom))
    }

    /// Writes the Ethernet addresses of a frame that has a whole header.
    @inline(__always)
    func setAddresses(destination: MACAddress, source: MACAddress) {
        EthernetHeader(in: self)?.setAddresses(destination: destination, source: source)
    }

    /// Copies bytes to `offset`, which may lie before the frame, but in its headroom.
    @inline(__always)
    func bytes(from offset: Int, copying source: UnsafeRawPointer, count: Int) -> HeaderBytes {
        assert(offset >= -headroom && offset + count <= length)
        unsafe (start + offset).copyMemory(from: source, byteCount: count)
        return unsafe HeaderBytes(start + offset, count: count)
    }

    /// The bytes, for tests and for printing.
    var contents: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: start, count: length)
    }
}
