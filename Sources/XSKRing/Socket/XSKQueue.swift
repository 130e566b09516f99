// SPDX-License-Identifier: Apache-2.0
public import CXDP
internal import Glibc

/// One queue of an interface: an AF_XDP socket, its UMEM and its four rings.
///
/// A chunk is always in exactly one of four places, which ``chunks`` counts and whose sum never
/// changes: the fill ring, our hands, the transmit side, the pool. Each verb moves chunks from one
/// place to the next and is called once a batch.
@safe
public struct XSKQueue: ~Copyable, @unchecked Sendable {
    /// The queue's number on the interface.
    public let queueID: Int
    /// The socket.
    public let fileDescriptor: Int32
    /// Whether frames reach the UMEM without a copy, as the kernel says.
    public let isZeroCopy: Bool

    private let umem: OpaquePointer
    private let socket: OpaquePointer
    private let region: MemoryRegion
    private var rings: XSKRings
    /// System calls that woke the kernel to send.
    public private(set) var transmitWakeups: UInt64 = 0
    /// System calls that woke the kernel to take chunks.
    public private(set) var fillWakeups: UInt64 = 0

    /// Makes a socket, fills its fill ring and binds it to a queue.
    ///
    /// - Parameters:
    ///   - interface: The device's name; the steering program is attached to it already.
    ///   - queueID: The queue's number.
    ///   - node: NUMA node of the device; `nil` when the machine has one.
    ///   - options: Sizes and modes.
    /// - Throws: What the kernel refused, and why it usually does.
    public init(
        interface: String, queueID: Int, node: Int?, options: XSKOptions
    ) throws(XSKError) {
        unsafe libxdp_set_print(nil)
        if let problem = options.problem {
            throw XSKError(
                "cannot bind an AF_XDP socket to \(interface) queue \(queueID): \(problem)")
        }
        let bindMode = try Self.bindMode(interface, queueID, options)
        let region = try MemoryRegion(
            name: "xdplb-umem-\(queueID)", byteCount: options.chunkCount * options.chunkSize,
            node: node, hugePages: options.hugePages, touched: true)
        var rings = XSKRings(
            chunkCount: options.chunkCount, chunkSize: options.chunkSize,
            reserve: Self.reserve(options.chunkCount))

        let umem = unsafe try Self.makeUmem(
            region.bytes, rings.fill, rings.completion, options)
        // Before bind: a driver may take buffers while it enables the pool.
        rings.refill()

        var configuration = xsk_socket_config()
        configuration.rx_size = UInt32(options.rxRing)
        configuration.tx_size = UInt32(options.txRing)
        configuration.libxdp_flags = UInt32(XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD)
        configuration.bind_flags = Self.bindFlags(bindMode)
        var socket: OpaquePointer?
        var created: Int32 = 0
        // The kernel releases a queue a moment after its last socket is closed: a process that
        // follows another one at once would find it busy.
        for _ in 0..<Self.bindAttempts {
            created = unsafe xsk_socket__create(
                &socket, interface, UInt32(queueID), umem, rings.rx.storage.ring,
                rings.tx.storage.ring, &configuration)
            guard created == -EBUSY else { break }
            usleep(Self.bindPause)
        }
        guard created == 0, let socket = unsafe socket else {
            unsafe _ = xsk_umem__delete(umem)
            throw Self.bindError(interface, queueID, options, -created)
        }
        let descriptor = unsafe xsk_socket__fd(socket)
        var budget = UInt32(min(options.transmitBudget, options.txRing))
        // Before 6.17 there is no such option: a call then sends 32 frames, and is repeated.
        _ = unsafe setsockopt(descriptor, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, 4)

        do throws(XSKError) {
            try Self.enableBusyPoll(descriptor, interface, queueID, options)
        } catch {
            unsafe xsk_socket__delete(socket)
            unsafe _ = xsk_umem__delete(umem)
            throw error
        }

        self.queueID = queueID
        fileDescriptor = descriptor
        isZeroCopy = Self.isZeroCopy(descriptor)
        unsafe self.umem = umem
        unsafe self.socket = socket
        self.region = region
        self.rings = rings
    }

    deinit {
        unsafe xsk_socket__delete(socket)
        unsafe _ = xsk_umem__delete(umem)
    }

    /// The UMEM; valid as long as the queue.
    public var memory: UnsafeMutableRawBufferPointer { unsafe region.bytes }
    /// Whether the UMEM is on huge pages.
    public var usesHugePages: Bool { region.isHuge }

    // MARK: Each batch

    /// Takes received frames, which are ours until they are transmitted or recycled.
    ///
    /// - Returns: Descriptors written to `target`.
    public mutating func receive(into target: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        unsafe rings.receive(into: target)
    }

    /// Hands frames over to be sent, as many as the TX ring has room for.
    ///
    /// - Returns: Frames taken; the others are still ours.
    public mutating func transmit(_ frames: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        unsafe rings.transmit(frames)
    }

    /// Gives chunks back whose frames are done with.
    ///
    /// - Parameter addresses: Any address inside each chunk.
    public mutating func recycle(_ addresses: UnsafeMutableBufferPointer<UInt64>) {
        unsafe rings.recycle(addresses)
    }

    /// Gives a chunk back, ``recycle(_:)`` for one.
    public mutating func recycle(address: UInt64) { rings.recycle(address: address) }

    /// Takes a free chunk for a frame that came another way; `nil` when there is none.
    public mutating func takeFreeChunk() -> UInt64? { rings.takeFreeChunk() }

    /// Takes back the chunks of frames that were sent.
    public mutating func reclaim() { rings.reclaim() }

    /// Gives the kernel free chunks to receive into, all but a few for ``takeFreeChunk()``.
    public mutating func refill() { rings.refill() }

    /// Wakes the kernel to send, if it asks for it.
    ///
    /// In copy mode a call does the sending, of a bounded number of frames, so it is repeated
    /// while it makes progress and frames are left. In zero-copy mode it only rouses the driver,
    /// which may need that to give back chunks of sent frames, too.
    public mutating func wakeToTransmit() {
        guard rings.inTransmit > 0, rings.tx.needsWakeup else { return }
        var pending = rings.tx.pendingCount
        guard pending > 0 || isZeroCopy else { return }
        while true {
            _ = sendto(fileDescriptor, nil, 0, Int32(MSG_DONTWAIT), nil, 0)
            transmitWakeups &+= 1
            let left = rings.tx.pendingCount
            guard !isZeroCopy, left > 0, left < pending else { return }
            pending = left
        }
    }

    /// ``wakeToTransmit()`` after so many frames were handed over.
    public mutating func wakeToTransmit(_ handedOver: Int) { wakeToTransmit() }

    /// Wakes the kernel to take chunks, if it asks for it.
    public mutating func wakeToFill() {
        guard rings.fill.needsWakeup else { return }
        _ = recvfrom(fileDescriptor, nil, 0, Int32(MSG_DONTWAIT), nil, nil)
        fillWakeups &+= 1
    }

    /// Whether a frame can be received, or a sent one taken back.
    public var hasWork: Bool { rings.rx.hasFrames }

    // MARK: Looking

    /// Who has the chunks.
    public var chunks: ChunkCounts { rings.chunks }

    /// Of the chunks on the transmit side, those that the kernel has given back.
    public var completedCount: Int { rings.completedCount }

    /// What the kernel counts for the socket behind a descriptor; zeros when it does not answer.
    public static func statistics(of descriptor: Int32) -> XSKStatistics {
        var kernel = xdp_statistics()
        var length = socklen_t(MemoryLayout<xdp_statistics>.size)
        guard unsafe getsockopt(descriptor, SOL_XDP, XDP_STATISTICS, &kernel, &length) == 0 else {
            return XSKStatistics()
        }
        return XSKStatistics(
            rxDropped: kernel.rx_dropped, rxRingFull: kernel.rx_ring_full,
            rxInvalid: kernel.rx_invalid_descs, txInvalid: kernel.tx_invalid_descs,
            fillRingEmpty: kernel.rx_fill_ring_empty_descs,
            txRingEmpty: kernel.tx_ring_empty_descs)
    }
}
