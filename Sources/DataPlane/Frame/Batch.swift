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
    private let discarded: UnsafeMutablePointer<UInt64>
    private let states: UnsafeMutablePointer<PacketState>
    private let requested: UnsafeMutablePointer<IPAddress>
    private let refusals: UnsafeMutablePointer<DropReason>

    /// Frames in the batch.
    public private(set) var count = 0
    /// Frames to transmit.
    var outgoing: OutgoingFrames
    private var discardedCount = 0
    private var requestedCount = 0
    /// Frames whose verdict is a hand-off.
    public internal(set) var handOffCount = 0
    /// Of the frames, the last ones that other workers received.
    public private(set) var handedOverCount = 0
    /// By a bit each, the frames in whose place an answer is sent.
    private var answered: UInt64 = 0
    /// Bytes of the outgoing frames.
    public var outgoingByteCount: UInt64 { outgoing.byteCount }

    /// An empty batch.
    public init() {
        unsafe received = .allocate(capacity: Self.capacity)
        unsafe received.initialize(repeating: xdp_desc(), count: Self.capacity)
        outgoing = OutgoingFrames(capacity: Self.outgoingCapacity)
        unsafe discarded = .allocate(capacity: Self.outgoingCapacity)
        unsafe discarded.initialize(repeating: 0, count: Self.outgoingCapacity)
        unsafe states = .allocate(capacity: Self.capacity)
        unsafe states.initialize(repeating: PacketState(), count: Self.capacity)
        unsafe requested = .allocate(capacity: Self.capacity)
        unsafe requested.initialize(repeating: FiveTuple.zero.source, count: Self.capacity)
        unsafe refusals = .allocate(capacity: Self.capacity)
        unsafe refusals.initialize(repeating: .malformed, count: Self.capacity)
    }

    deinit {
        unsafe received.deallocate()
        outgoing.deallocate()
        unsafe discarded.deallocate()
        unsafe states.deallocate()
        unsafe requested.deallocate()
        unsafe refusals.deallocate()
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
        outgoing.removeAll()
        discardedCount = 0
        requestedCount = 0
        handOffCount = 0
        answered = 0
    }

    /// Frames to transmit.
    public var transmits: UnsafeMutableBufferPointer<xdp_desc> {
        unsafe outgoing.descriptors
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

    /// The frames by themselves, for a pass over all of them.
    @inline(__always)
    var frames: BatchFrames { unsafe BatchFrames(received, states) }

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

    /// The frame at `index` is sent.
    @inline(__always)
    mutating func transmit(_ index: Int) {
        self[index].verdict = .transmit
        let descriptor = unsafe received[index]
        append(descriptor)
    }

    /// The frame at `index` is sent as another one in its chunk.
    @inline(__always)
    mutating func transmit(_ index: Int, as packet: Frame, insteadOf frame: Frame) {
        self[index].verdict = .transmit
        outgoing.append(
            address: packet.address(insteadOf: frame, at: address(at: index)),
            length: packet.length)
    }

    /// Adds a frame that came with an earlier batch.
    mutating func append(_ descriptor: xdp_desc) {
        outgoing.append(address: descriptor.addr, length: Int(descriptor.len))
    }

    @inline(__always)
    mutating func drop(_ index: Int, for reason: DropReason) {
        self[index].verdict = .drop(reason)
        discard(address(at: index))
    }

    /// An answer is sent in place of the frame at `index`, which was refused.
    mutating func answer(_ index: Int, for reason: DropReason) {
        answered |= 1 << UInt64(index)
        unsafe refusals[index] = reason
    }

    /// Why an answer is sent in place of a frame; `nil` when none is.
    func answeredReason(at index: Int) -> DropReason? {
        answered & 1 << UInt64(index) == 0 ? nil : unsafe refusals[index]
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
        Self.outgoingCapacity - Self.capacity - max(outgoing.count, discardedCount)
    }

    mutating func requestResolution(of address: IPAddress) {
        guard requestedCount < Self.capacity else { return }
        unsafe requested[requestedCount] = address
        requestedCount += 1
    }
}

/// The frames of a batch while a pass goes over them: where their descriptors and states lie, which
/// nothing that is written to them can change.
@safe
struct BatchFrames {
    private let received: UnsafeMutablePointer<xdp_desc>
    private let states: UnsafeMutablePointer<PacketState>

    @inline(__always)
    fileprivate init(
        _ received: UnsafeMutablePointer<xdp_desc>, _ states: UnsafeMutablePointer<PacketState>
    ) {
        unsafe self.received = received
        unsafe self.states = states
    }

    @inline(__always)
    subscript(index: Int) -> PacketState {
        unsafeAddress {
            assert(index < Batch.capacity)
            return unsafe UnsafePointer(states + index)
        }
        nonmutating unsafeMutableAddress {
            assert(index < Batch.capacity)
            return unsafe states + index
        }
    }

    @inline(__always)
    func address(at index: Int) -> UInt64 { unsafe received[index].addr }

    @inline(__always)
    func length(at index: Int) -> UInt32 { unsafe received[index].len }
}

/// Descriptors of frames that leave: a list of fixed capacity.
@safe
struct OutgoingFrames {
    private let base: UnsafeMutablePointer<xdp_desc>
    private let capacity: Int
    private(set) var count = 0
    /// Of all of them.
    private(set) var byteCount: UInt64 = 0

    fileprivate init(capacity: Int) {
        unsafe base = .allocate(capacity: capacity)
        unsafe base.initialize(repeating: xdp_desc(), count: capacity)
        self.capacity = capacity
    }

    fileprivate func deallocate() { unsafe base.deallocate() }

    fileprivate var descriptors: UnsafeMutableBufferPointer<xdp_desc> {
        unsafe UnsafeMutableBufferPointer(start: base, count: count)
    }

    fileprivate mutating func removeAll() {
        count = 0
        byteCount = 0
    }

    /// - Precondition: there is room.
    fileprivate mutating func append(address: UInt64, length: Int) {
        var room = room(for: 1)
        room.append(address: address, length: length)
        take(room)
    }

    /// Room for more, for a loop that adds many and says afterwards how many.
    ///
    /// - Precondition: there is that much.
    @inline(__always)
    func room(for more: Int) -> Room {
        precondition(more <= capacity &- count)
        return unsafe Room(base + count)
    }

    /// Adds what was put into room that this list gave, and nothing was added since.
    @inline(__always)
    mutating func take(_ room: Room) {
        count &+= room.count
        byteCount &+= room.byteCount
    }

    /// Room in a list.
    @safe
    struct Room {
        private let base: UnsafeMutablePointer<xdp_desc>
        fileprivate private(set) var count = 0
        fileprivate private(set) var byteCount: UInt64 = 0

        @inline(__always)
        fileprivate init(_ base: UnsafeMutablePointer<xdp_desc>) { unsafe self.base = base }

        /// - Precondition: there is as much room as was asked for.
        @inline(__always)
        mutating func append(address: UInt64, length: Int) {
            let length = UInt32(truncatingIfNeeded: length)
            unsafe base[count] = xdp_desc(addr: address, len: length, options: 0)
            count &+= 1
            byteCount &+= UInt64(length)
        }
    }
}

/// What the passes of the pipeline tell each other about a frame.
///
/// What a plain packet changes comes first, what every packet resets last and in one run.
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
    /// The backend it goes to or comes from, and the service, once they are known.
    var parties = Parties()
    /// The entry that may be its connection's; 0 when there is none.
    var candidate: UInt32 = 0
    var direction = Direction.unknown
    var verdict = Verdict.undecided
    /// Whether a connection was looked for, and none was found.
    var missed = false
    /// Of a packet that may begin a connection in `snat`.
    var proposal = SNATProposal()

    /// Number of the backend.
    @inline(__always)
    var backend: UInt16 {
        get { parties.backend }
        set { parties.backend = newValue }
    }

    /// Number of the service; of a reply, not known before its connection is.
    @inline(__always)
    var service: UInt16 {
        get { parties.service }
        set { parties.service = newValue }
    }

    /// Forgets what was decided about another packet.
    @inline(__always)
    mutating func isRead() {
        parties = Parties()
        candidate = 0
        direction = .unknown
        verdict = .undecided
        missed = false
    }
}
