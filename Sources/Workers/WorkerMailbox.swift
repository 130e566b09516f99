// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Synchronization

/// What the control side asks of one worker, and the worker of the control side.
///
/// Requests are under a lock that the worker only tries, and only when ``hasRequests`` says so:
/// it never waits for the control side. Addresses to be resolved go the other way through a
/// bounded list under the same kind of lock; one that finds the lock taken or the list full is
/// asked for again by the next frame that waits.
///
/// A capture is asked for by the address of its ring. The worker says which one it uses and then
/// looks whether it is still wanted, the control side takes the request back and then looks which
/// one is used, both with sequential consistency: so no ring is freed that is in use.
@safe
public final class WorkerMailbox: Sendable {
    private static let addressCapacity = 64

    private let hasRequests = Atomic<Bool>(false)
    private let scans = Mutex<[ConnectionScan]>([])
    private let stops = Atomic<Bool>(false)
    private let addresses = Mutex<AddressList>(AddressList())
    private let wantedCapture = Atomic<UInt>(0)
    private let usedCapture = Atomic<UInt>(0)

    /// Addresses without allocation on the worker's side.
    private struct AddressList: Sendable {
        var values = [IPAddress](
            repeating: IPAddress(high: 0, low: 0), count: WorkerMailbox.addressCapacity)
        var count = 0
    }

    /// An empty mailbox.
    public init() {}

    // MARK: Control side

    /// Asks for a walk over the worker's connections.
    public func request(_ scan: ConnectionScan) {
        scans.withLock { $0.append(scan) }
        hasRequests.store(true, ordering: .releasing)
    }

    /// Asks the worker to end after its current round.
    public func stop() { stops.store(true, ordering: .releasing) }

    /// Asks for a capture into the ring at an address.
    package func requestCapture(at address: UInt) {
        wantedCapture.store(address, ordering: .sequentiallyConsistent)
    }

    /// Takes the request for the ring at an address back; a later one for another ring stays.
    func withdrawCapture(at address: UInt) {
        _ = wantedCapture.compareExchange(
            expected: address, desired: 0, ordering: .sequentiallyConsistent)
    }

    /// Whether the worker uses the ring at an address: once withdrawn and not used, it may be freed.
    func usesCapture(at address: UInt) -> Bool {
        usedCapture.load(ordering: .sequentiallyConsistent) == address
    }

    /// Addresses that frames wait for since the last call.
    public func takeAddresses() -> [IPAddress] {
        addresses.withLock { list in
            defer { list.count = 0 }
            return Array(list.values[..<list.count])
        }
    }

    // MARK: Worker's side

    @inline(__always)
    var isStopped: Bool { stops.load(ordering: .relaxed) }

    @inline(__always)
    var mayHaveRequests: Bool { hasRequests.load(ordering: .relaxed) }

    /// Address of the ring that frames are to be copied into; 0 when none are.
    @inline(__always)
    var captureAddress: UInt { wantedCapture.load(ordering: .acquiring) }

    /// Takes over the ring that is asked for; returns its address.
    func adoptCapture() -> UInt {
        while true {
            let wanted = wantedCapture.load(ordering: .sequentiallyConsistent)
            usedCapture.store(wanted, ordering: .sequentiallyConsistent)
            if wantedCapture.load(ordering: .sequentiallyConsistent) == wanted { return wanted }
        }
    }

    /// Says that the worker uses no ring any more, and never will.
    func leaveCapture() { usedCapture.store(0, ordering: .sequentiallyConsistent) }

    func nextScan() -> ConnectionScan? {
        let next = scans.withLockIfAvailable { scans -> ConnectionScan? in
            let scan = scans.isEmpty ? nil : scans.removeFirst()
            hasRequests.store(!scans.isEmpty, ordering: .relaxed)
            return scan
        }
        return next ?? nil
    }

    func ask(for wanted: UnsafeMutableBufferPointer<IPAddress>) {
        _ = addresses.withLockIfAvailable { list in
            for index in 0..<wanted.count where list.count < Self.addressCapacity {
                list.values[list.count] = unsafe wanted[index]
                list.count += 1
            }
        }
    }
}
