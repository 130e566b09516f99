// SPDX-License-Identifier: Apache-2.0
public import CXDP

/// Up to 64 frames that are handled together, and what became of them.
///
/// The worker fills ``receiveBuffer`` and says how many frames came; the pipeline gives each a
/// verdict and sorts them into the lists that the worker then carries out. Memory is allocated
/// once.
@safe
public struct Batch: ~Copyable {
    /// Most frames of a batch.
    public static let capacity = 64
    /// Frames that leave may be more than came: some were waiting for a next hop.
    private static let outgoingCapacity = capacity * 2

    private let received: UnsafeMutablePointer<xdp_desc>
    private let outgoing: UnsafeMutablePointer<xdp_desc>
    private let discarded: UnsafeMutablePointer<UInt64>
    private let states: UnsafeMutablePointer<PacketState>
    private let requested: UnsafeMutablePointer<IPAddress>

    /// Frames in the batch.
    public private(set) var count = 0
    private var outgoingCount = 0
    private var discardedCount = 0
    private var requestedCount = 0
    /// Frames whose verdict is a hand-off.
    public internal(set) var handOffCount = 0
    /// Of the frames, the last ones that other workers received.
    public private(set) var handedOverCount = 0
    /// Bytes of the outgoing frames.
    public private(set) var outgoingByteCount: UInt64 = 0

    /// An empty batch.
    public init() {
        unsafe received = .allocate(capacity: Self.capacity)
        unsafe received.initialize(repeating: xdp_desc(), count: Self.capacity)
        unsafe outgoing = .allocate(capacity: Self.outgoingCapacity)
        unsafe outgoing.initialize(repeating: xdp_desc(), count: Self.outgoingCapacity)
        unsafe discarded = .allocate(capacity: Self.outgoingCapacity)
        unsafe discarded.initialize(repeating: 0, count: Self.outgoingCapacity)
        unsafe states = .allocate(capacity: Self.capacity)
        unsafe states.initialize(repeating: PacketState(), count: Self.capacity)
        unsafe requested = .allocate(capacity: Self.capacity)
        unsafe requested.initialize(repeating: FiveTuple.zero.source, count: Self.capacity)
    }

    deinit {
        unsafe received.deallocate()
        unsafe outgoing.deallocate()
        unsafe discarded.deallocate()
        unsafe states.deallocate()
        unsafe requested.deallocate()
    }

    // MARK: For the worker

    /// Where descriptors of received frames are put before ``begin(count:)``.
    public var receiveBuffer: UnsafeMutableBufferPointer<xdp_desc> {
        unsafe UnsafeMutableBufferPointer(start: received, count: Self.capacity)
    }

    /// Starts a batch of the first `count` frames of ``receiveBuffer``.
    ///
    /// - Parameters:
    ///   - count: Frames, within ``capacity``.
    ///   - handedOver: How many of them, at the end, another worker received and handed over.
    public mutating func begin(count: Int, handedOver: Int = 0) {
        precondition((0...Self.capacity).contains(count))
        self.count = count
        handedOverCount = handedOver
        outgoingCount = 0
        outgoingByteCount = 0
        discardedCount = 0
        requestedCount = 0
        handOffCount = 0
    }

    /// Frames to transmit.
    public var transmits: UnsafeMutableBufferPointer<xdp_desc> {
        unsafe UnsafeMutableBufferPointer(start: outgoing, count: outgoingCount)
    }

    /// Addresses of frames that are done with.
    public var discards: UnsafeMutableBufferPointer<UInt64> {
        unsafe UnsafeMutableBufferPointer(start: discarded, count: discardedCount)
    }

    /// Addresses that the kernel is to be asked to resolve.
    public var resolveRequests: UnsafeMutableBufferPointer<IPAddress> {
        unsafe UnsafeMutableBufferPointer(start: requested, count: requestedCount)
    }

    /// The verdict on a frame.
    ///
    /// - Precondition: `index < count`.
    public func verdict(at index: Int) -> Verdict { self[index].verdict }

    /// The service and the backend that a verdict came from, by number, as far as there were any.
    ///
    /// - Precondition: `index < count`.
    public func decision(at index: Int) -> (service: UInt16?, backend: UInt16?) {
        let state = self[index]
        guard state.backend != MaglevTable.nobody else { return (nil, nil) }
        return (state.service, state.backend)
    }

    /// The descriptor of a frame as it was received; of one that waits, as it was rewritten.
    ///
    /// - Precondition: `index < count`.
    public func descriptor(at index: Int) -> xdp_desc {
        precondition(index < count)
        return unsafe received[index]
    }

    // MARK: For the pipeline

    // An index is below `count`, which ``begin(count:handedOver:)`` holds within the capacity.

    @inline(__always)
    subscript(index: Int) -> PacketState {
        unsafeAddress {
            assert(index < Self.capacity)
            return unsafe UnsafePointer(states + index)
        }
        unsafeMutableAddress {
            assert(index < Self.capacity)
            return unsafe states + index
        }
    }

    /// Where the state of a frame lies, for a function that is to have no copy of it.
    @inline(__always)
    func state(at index: Int) -> UnsafePointer<PacketState> {
        assert(index < Self.capacity)
        return unsafe UnsafePointer(states + index)
    }

    @inline(__always)
    func address(at index: Int) -> UInt64 { unsafe received[index].addr }

    @inline(__always)
    func length(at index: Int) -> UInt32 { unsafe received[index].len }

    /// The frame at `index` now starts elsewhere in its chunk.
    @inline(__always)
    mutating func setDescriptor(at index: Int, address: UInt64, length: UInt32) {
        unsafe received[index] = xdp_desc(
            addr: address, len: length, options: 0)
    }

    /// Whether another worker received the frame.
    @inline(__always)
    func isHandedOver(_ index: Int) -> Bool { index >= count &- handedOverCount }

    @inline(__always)
    mutating func handOff(_ index: Int, to worker: Int) {
        self[index].verdict = .handOff(worker: UInt8(truncatingIfNeeded: worker))
        handOffCount &+= 1
    }

    /// The frame at `index` is sent, as it now lies in its chunk.
    @inline(__always)
    mutating func transmit(_ index: Int, address: UInt64, length: Int) {
        self[index].verdict = .transmit
        append(
            xdp_desc(addr: address, len: UInt32(truncatingIfNeeded: length), options: 0))
    }

    @inline(__always)
    mutating func transmit(_ index: Int) {
        self[index].verdict = .transmit
        let descriptor = unsafe received[index]
        append(descriptor)
    }

    /// Adds a frame that came with an earlier batch.
    @inline(__always)
    mutating func append(_ descriptor: xdp_desc) {
        precondition(outgoingCount < Self.outgoingCapacity)
        unsafe outgoing[outgoingCount] = descriptor
        outgoingCount &+= 1
        outgoingByteCount &+= UInt64(descriptor.len)
    }

    @inline(__always)
    mutating func drop(_ index: Int, for reason: DropReason) {
        self[index].verdict = .drop(reason)
        discard(address(at: index))
    }

    /// Adds a frame that came with an earlier batch.
    @inline(__always)
    mutating func discard(_ address: UInt64) {
        precondition(discardedCount < Self.outgoingCapacity)
        unsafe discarded[discardedCount] = address
        discardedCount &+= 1
    }

    /// Room for frames of earlier batches.
    var roomForEarlierFrames: Int {
        Self.outgoingCapacity - Self.capacity - max(outgoingCount, discardedCount)
    }

    mutating func requestResolution(of address: IPAddress) {
        guard requestedCount < Self.capacity else { return }
        unsafe requested[requestedCount] = address
        requestedCount += 1
    }
}

/// What the passes of the pipeline tell each other about a frame.
struct PacketState: BitwiseCopyable {
    /// Whose packet it is.
    enum Direction: UInt8, BitwiseCopyable {
        /// Not known yet: that of the connection it has, if it has one.
        case unknown
        /// From a client to a VIP.
        case fromClient
        /// From a backend to a SNAT address.
        case fromBackend
        /// ICMP, or part of a larger packet: whose it is must be found out first.
        case special
        /// There is a verdict already.
        case settled
    }

    var flow = FiveTuple.zero
    var hash: UInt64 = 0
    var layout = FrameLayout()
    /// Number of the backend it goes to or comes from, once that is known.
    var backend = MaglevTable.nobody
    var direction = Direction.unknown
    var verdict = Verdict.undecided
    /// Number of the service; of a reply, not known before its connection is.
    var service: UInt16 = 0
    /// The entry that may be its connection's; 0 when there is none.
    var candidate: UInt32 = 0

    /// Forgets what was decided about another packet.
    @inline(__always)
    mutating func isRead() {
        backend = MaglevTable.nobody
        direction = .unknown
        verdict = .undecided
    }
}
