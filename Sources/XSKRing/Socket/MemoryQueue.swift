// SPDX-License-Identifier: Apache-2.0
public import CXDP

/// A queue without a socket: the same rings on plain memory, and the kernel's side of them.
///
/// What `xdplb bench --rings` measures beside the pipeline. The kernel's side does what it must for
/// the rings to go round, and is not to be timed.
@safe
public struct MemoryQueue: ~Copyable {
    private var rings: XSKRings
    private let fill: RingSide
    private let completion: RingSide
    private let rx: RingSide
    private let tx: RingSide

    /// A queue whose rings hold as many elements as there are chunks.
    ///
    /// - Precondition: `chunkCount` and `chunkSize` are powers of two.
    public init(chunkCount: Int, chunkSize: Int) {
        rings = XSKRings(chunkCount: chunkCount, chunkSize: chunkSize, reserve: 0)
        fill = RingSide(size: chunkCount, stride: MemoryLayout<UInt64>.stride)
        completion = RingSide(size: chunkCount, stride: MemoryLayout<UInt64>.stride)
        rx = RingSide(size: chunkCount, stride: MemoryLayout<xdp_desc>.stride)
        tx = RingSide(size: chunkCount, stride: MemoryLayout<xdp_desc>.stride)
        fill.mapping.bind(rings.fill.storage)
        completion.mapping.bind(rings.completion.storage)
        rx.mapping.bind(rings.rx.storage)
        tx.mapping.bind(rings.tx.storage)
        rings.refill()
    }

    /// Who has the chunks.
    public var chunks: ChunkCounts { rings.chunks }

    // MARK: The worker's side

    /// ``XSKQueue/receive(into:)``.
    public mutating func receive(into target: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        unsafe rings.receive(into: target)
    }

    /// ``XSKQueue/transmit(_:)``.
    public mutating func transmit(_ frames: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        unsafe rings.transmit(frames)
    }

    /// ``XSKQueue/recycle(_:)``.
    public mutating func recycle(_ addresses: UnsafeMutableBufferPointer<UInt64>) {
        unsafe rings.recycle(addresses)
    }

    /// ``XSKQueue/reclaim()``.
    public mutating func reclaim() { rings.reclaim() }

    /// ``XSKQueue/refill()``.
    public mutating func refill() { rings.refill() }

    // MARK: The kernel's side

    /// Takes a chunk from the fill ring, puts a frame into it and on the RX ring.
    ///
    /// - Parameters:
    ///   - length: Bytes of the frame.
    ///   - headroom: Bytes of the chunk before it.
    ///   - write: Writes the frame at an address of the UMEM.
    /// - Returns: `false` when there is no chunk.
    public func deliver(length: UInt32, headroom: UInt64, write: (UInt64) -> Void) -> Bool {
        guard let chunk = fill.consume(UInt64.self) else { return false }
        write(chunk + headroom)
        rx.produce(xdp_desc(addr: chunk + headroom, len: length, options: 0))
        return true
    }

    /// Sends all that is on the TX ring, and gives the chunks back.
    ///
    /// - Returns: Frames sent.
    public func send() -> Int {
        var count = 0
        while let frame = tx.consume(xdp_desc.self) {
            completion.produce(frame.addr)
            count += 1
        }
        return count
    }
}

/// Owner of a ring in plain memory, and the side of it that the kernel has.
@safe
private struct RingSide: ~Copyable {
    let mapping: RingMapping
    private let indices: UnsafeMutablePointer<UInt32>

    init(size: Int, stride: Int) {
        // Producer, consumer and flags a cache line each, as in the kernel's mapping.
        unsafe indices = .allocate(capacity: 48)
        unsafe indices.initialize(repeating: 0, count: 48)
        mapping = unsafe RingMapping(
            producer: indices, consumer: indices + 16, flags: indices + 32,
            elements: .allocate(byteCount: size * stride, alignment: 64), size: UInt32(size))
    }

    deinit {
        unsafe indices.deallocate()
        unsafe mapping.elements.deallocate()
    }

    /// The oldest element; `nil` when there is none.
    func consume<Element: BitwiseCopyable>(_: Element.Type) -> Element? {
        let index = unsafe mapping.consumer.pointee
        guard unsafe index != mapping.producer.pointee else { return nil }
        let element = unsafe place(of: index, Element.self).pointee
        unsafe mapping.consumer.pointee = index &+ 1
        return element
    }

    /// Adds an element.
    ///
    /// - Precondition: there is room, as there is for as many as there are chunks.
    func produce<Element: BitwiseCopyable>(_ element: Element) {
        let index = unsafe mapping.producer.pointee
        precondition(unsafe index &- mapping.consumer.pointee < mapping.size)
        unsafe place(of: index, Element.self).pointee = element
        unsafe mapping.producer.pointee = index &+ 1
    }

    private func place<Element>(
        of index: UInt32, _: Element.Type
    ) -> UnsafeMutablePointer<Element> {
        unsafe mapping.elements.assumingMemoryBound(to: Element.self)
            + Int(index & (mapping.size - 1))
    }
}
