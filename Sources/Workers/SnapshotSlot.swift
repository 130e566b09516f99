// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Synchronization

/// Where workers find the snapshot to decide by.
///
/// Written by the control side (one publisher at a time), read by every worker. The pointer is
/// exchanged with acquire-release, the generation counted up after it with sequential
/// consistency; a worker that sees a new generation loads the pointer with acquire and
/// acknowledges with a release store in its own seat. The publisher frees the snapshot before
/// once every seat has acknowledged: no lock, no reference count, one load a batch.
@safe
public final class SnapshotSlot: Sendable {
    /// The address of the current snapshot, as a number.
    private let address: Atomic<UInt>
    /// How often something was published.
    ///
    /// Not ``ForwardingSnapshot/generation``, which counts plans.
    private let sequence = Atomic<UInt64>(1)
    private nonisolated(unsafe) let seats: UnsafeMutablePointer<Seat>
    private let seatCount: Int

    /// One cache line for each worker: the sequence it has acknowledged.
    struct Seat: ~Copyable {
        static let vacant = UInt64.max
        let acknowledged = Atomic<UInt64>(vacant)
        private let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
            (0, 0, 0, 0, 0, 0, 0)
    }

    /// A slot with a first snapshot, for so many workers.
    public init(_ first: consuming ForwardingSnapshot, workers: Int) {
        let pointer = UnsafeMutablePointer<ForwardingSnapshot>.allocate(capacity: 1)
        unsafe pointer.initialize(to: first)
        address = Atomic(UInt(bitPattern: pointer))
        unsafe seats = .allocate(capacity: workers)
        for index in 0..<workers { unsafe (seats + index).initialize(to: Seat()) }
        seatCount = workers
    }

    deinit {
        Self.free(address.load(ordering: .acquiring))
        unsafe seats.deinitialize(count: seatCount)
        unsafe seats.deallocate()
    }

    /// Makes a snapshot current.
    ///
    /// The one before lives until ``reclaim(_:)``.
    func exchange(_ next: consuming ForwardingSnapshot) -> Retired {
        let pointer = UnsafeMutablePointer<ForwardingSnapshot>.allocate(capacity: 1)
        unsafe pointer.initialize(to: next)
        let old = address.exchange(UInt(bitPattern: pointer), ordering: .acquiringAndReleasing)
        return Retired(
            address: old, sequence: sequence.add(1, ordering: .sequentiallyConsistent).newValue)
    }

    /// A snapshot that is not current any more.
    struct Retired: Sendable {
        fileprivate let address: UInt
        fileprivate let sequence: UInt64
    }

    /// Frees a retired snapshot if every worker has moved on; says whether it did.
    func reclaim(_ retired: Retired) -> Bool {
        for index in 0..<seatCount {
            let acknowledged = unsafe seats[index].acknowledged.load(ordering: .acquiring)
            if acknowledged < retired.sequence { return false }
        }
        Self.free(retired.address)
        return true
    }

    private static func free(_ address: UInt) {
        guard let pointer = unsafe UnsafeMutablePointer<ForwardingSnapshot>(bitPattern: address)
        else { return }
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    /// The handle of a worker.
    ///
    /// - Precondition: `worker` is below the number of workers, and has no other handle.
    public func reader(for worker: Int) -> SnapshotReader {
        precondition((0..<seatCount).contains(worker))
        return unsafe SnapshotReader(self, seat: seats + worker)
    }

    fileprivate func load() -> (sequence: UInt64, address: UInt) {
        // The sequence first: what is read after it is at least as new.
        let sequence = sequence.load(ordering: .sequentiallyConsistent)
        return (sequence, address.load(ordering: .acquiring))
    }

    @inline(__always)
    fileprivate var latest: UInt64 { sequence.load(ordering: .acquiring) }
}

/// A worker's view of the slot: the snapshot it works with until it says otherwise.
@safe
public struct SnapshotReader: ~Copyable {
    private let slot: SnapshotSlot
    private let seat: UnsafeMutablePointer<SnapshotSlot.Seat>
    private var sequence: UInt64
    private var snapshot: UnsafePointer<ForwardingSnapshot>

    fileprivate init(_ slot: SnapshotSlot, seat: UnsafeMutablePointer<SnapshotSlot.Seat>) {
        self.slot = slot
        unsafe self.seat = seat
        // Taken before the pointer is read, so that no publisher frees it in between.
        unsafe seat.pointee.acknowledged.store(0, ordering: .sequentiallyConsistent)
        let (sequence, address) = slot.load()
        self.sequence = sequence
        unsafe snapshot = Self.pointer(address)
        unsafe seat.pointee.acknowledged.store(sequence, ordering: .releasing)
    }

    deinit {
        unsafe seat.pointee.acknowledged.store(SnapshotSlot.Seat.vacant, ordering: .releasing)
    }

    /// Adopts the newest snapshot and acknowledges it; to be called once a round, at a moment when
    /// nothing of the one before is in use.
    ///
    /// - Returns: Whether it changed.
    @inline(__always)
    public mutating func refresh() -> Bool {
        guard slot.latest != sequence else { return false }
        let (sequence, address) = slot.load()
        unsafe snapshot = Self.pointer(address)
        self.sequence = sequence
        unsafe seat.pointee.acknowledged.store(sequence, ordering: .releasing)
        return true
    }

    /// The snapshot to decide by until the next ``refresh()``.
    public var current: ForwardingSnapshot {
        @inline(__always)
        _read { yield unsafe snapshot.pointee }
    }

    private static func pointer(_ address: UInt) -> UnsafePointer<ForwardingSnapshot> {
        guard let pointer = unsafe UnsafePointer<ForwardingSnapshot>(bitPattern: address) else {
            preconditionFailure("a slot always has a snapshot")
        }
        return unsafe pointer
    }
}
