// SPDX-License-Identifier: Apache-2.0

/// The ports of one SNAT address, and how the workers divide them.
///
/// Ports are counted from 0 over all ranges; worker w owns the run that starts at w × sliceCount.
struct SNATAddressRecord: BitwiseCopyable {
    var address: IPAddress
    var firstPort: (UInt16, UInt16)
    var rangeCount: (UInt32, UInt32)
    /// Ports of each worker but the last, which has what is left.
    var sliceCount: UInt32
    var reuseAfter: UInt32
    var id: UInt16
    var exists: Bool

    static let none = SNATAddressRecord(
        address: FiveTuple.zero.source, firstPort: (0, 0), rangeCount: (0, 0), sliceCount: 1,
        reuseAfter: 0, id: 0, exists: false)

    /// Ports of the address.
    var portCount: UInt32 { rangeCount.0 &+ rangeCount.1 }

    /// The index of a port; `nil` when it is none of ours.
    @inline(__always)
    func index(of port: UInt16) -> UInt32? {
        let first = UInt32(port) &- UInt32(firstPort.0)
        if first < rangeCount.0 { return first }
        let second = UInt32(port) &- UInt32(firstPort.1)
        if second < rangeCount.1 { return rangeCount.0 &+ second }
        return nil
    }

    /// The port at an index.
    @inline(__always)
    func port(at index: UInt32) -> UInt16 {
        index < rangeCount.0
            ? firstPort.0 &+ UInt16(truncatingIfNeeded: index)
            : firstPort.1 &+ UInt16(truncatingIfNeeded: index &- rangeCount.0)
    }

    /// The worker that owns the port at an index.
    @inline(__always)
    func owner(ofIndex index: UInt32) -> Int { Int(index / sliceCount) }

    /// Indices that a worker owns; none when there are more workers than ports.
    @inline(__always)
    func slice(of worker: Int) -> Range<UInt32> {
        let start = min(UInt32(truncatingIfNeeded: worker) &* sliceCount, portCount)
        return Range(uncheckedBounds: (start, min(start &+ sliceCount, portCount)))
    }
}

/// SNAT addresses by number and by address.
struct SNATTable: ~Copyable {
    struct Slot: BitwiseCopyable {
        var address: IPAddress
        /// Number plus one; 0 marks a free slot.
        var id: UInt32
    }

    private let records: OwnedTable<SNATAddressRecord>
    private let slots: OwnedTable<Slot>
    /// Numbers of each service's addresses, one run a service.
    private let owned: OwnedTable<UInt16>
    private let isEmpty: Bool

    init(_ plan: borrowing ForwardingPlan) {
        let count = (plan.snatAddresses.map { Int($0.id) }.max() ?? -1) + 1
        records = OwnedTable(repeating: .none, count: count)
        slots = OwnedTable(
            repeating: Slot(address: FiveTuple.zero.source, id: 0),
            count: powerOfTwo(atLeast: plan.snatAddresses.count * 2, floor: 2))
        isEmpty = plan.snatAddresses.isEmpty
        let table = slots.masked
        for address in plan.snatAddresses {
            records.table[Int(address.id)] = SNATAddressRecord(address, of: plan.workerCount)
            var slot = Self.hash(address.address)
            while table[slot].id != 0 { slot &+= 1 }
            table[slot] = Slot(address: address.address, id: UInt32(address.id) + 1)
        }
        owned = OwnedTable(plan.services.flatMap(\.snatAddresses), or: 0)
    }

    /// Addresses by number; numbers that do not exist have no ports.
    @inline(__always)
    func record(_ id: UInt16) -> SNATAddressRecord {
        Int(id) < records.table.count ? records.table[Int(id)] : .none
    }

    /// Where the record of a number that the plan has lies.
    @inline(__always)
    func recordAddress(_ id: UInt16) -> UnsafePointer<SNATAddressRecord> {
        unsafe records.table.address(of: Int(id))
    }

    /// Ports of an address that a worker owns; 0 when there is none of that number.
    @inline(__always)
    func sliceCount(of id: UInt16, _ worker: Int) -> Int {
        guard Int(id) < records.table.count else { return 0 }
        return unsafe records.table.address(of: Int(id)).pointee.slice(of: worker).count
    }

    /// The address of that number; zero when there is none.
    @inline(__always)
    func address(_ id: UInt16) -> IPAddress {
        Int(id) < records.table.count
            ? records.table[Int(id)].address : IPAddress(high: 0, low: 0)
    }

    /// Numbers of the services' addresses.
    var choices: FixedTable<UInt16> { owned.table }

    /// The SNAT address that equals `address`.
    @inline(__always)
    func find(_ address: IPAddress) -> SNATAddressRecord? {
        guard !isEmpty else { return nil }
        let table = slots.masked
        var slot = Self.hash(address)
        while table[slot].id != 0 {
            if table[slot].address == address { return record(UInt16(table[slot].id - 1)) }
            slot &+= 1
        }
        return nil
    }

    @inline(__always)
    private static func hash(_ address: IPAddress) -> Int {
        let mixed = (address.low ^ address.high &* 0x9e37_79b9) &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 40)
    }
}

extension SNATAddressRecord {
    /// - Precondition: one range of ports or two.
    init(_ address: ForwardingPlan.SNATAddress, of workers: Int) {
        precondition((1...2).contains(address.ports.count))
        let first = address.ports[0]
        let second = address.ports.count > 1 ? address.ports[1] : nil
        self.init(
            address: address.address, firstPort: (first.lowerBound, second?.lowerBound ?? 0),
            rangeCount: (UInt32(first.count), UInt32(second?.count ?? 0)), sliceCount: 1,
            reuseAfter: address.reuseAfter, id: address.id, exists: true)
        sliceCount = max(1, (portCount + UInt32(workers) - 1) / UInt32(workers))
    }
}
