// SPDX-License-Identifier: Apache-2.0

/// What a worker's tables hold that no counter has: SNAT ports by backend, and fragments.
///
/// Counting these when they change would cost every new connection; a walk costs only when somebody
/// looks. Written by the worker that carries the walk out, read by the control plane after it saw
/// ``ConnectionScan/isDone``.
@safe
public final class TableCensus: @unchecked Sendable {
    /// What ports are counted by.
    public struct Layout: Hashable, Sendable {
        /// Groups of SNAT addresses.
        public var groups: Int
        /// The group of each SNAT address, by the address's number; `nil` is not counted.
        public var groupOfAddress: [Int?]
        /// Backends that may have ports, by the number of their set.
        public var portSpaces: Int

        /// A layout of its parts; without groups only fragments are counted.
        public init(groups: Int, groupOfAddress: [Int?], portSpaces: Int) {
            self.groups = groups
            self.groupOfAddress = groupOfAddress
            self.portSpaces = portSpaces
        }

        fileprivate var cellCount: Int { groups * portSpaces * 2 }
        /// Whether there is anything to walk over connections for.
        var countsPorts: Bool { cellCount > 0 }
    }

    /// Ports towards one backend over one protocol.
    public struct Ports: Hashable, Sendable, BitwiseCopyable {
        /// Ports that a connection has.
        public var taken: UInt32 = 0
        /// Of these, the ones whose connection is closed: they rest.
        public var resting: UInt32 = 0
    }

    let layout: Layout
    private let cells: UnsafeMutablePointer<Ports>
    private let groups: UnsafeMutablePointer<Int32>
    /// Entries of the fragment table in use.
    public internal(set) var fragments = 0

    init(_ layout: Layout) {
        self.layout = layout
        unsafe cells = .allocate(capacity: max(layout.cellCount, 1))
        unsafe cells.initialize(repeating: Ports(), count: layout.cellCount)
        unsafe groups = .allocate(capacity: max(layout.groupOfAddress.count, 1))
        for (index, group) in layout.groupOfAddress.enumerated() {
            unsafe groups[index] = Int32(group ?? -1)
        }
    }

    deinit {
        unsafe cells.deallocate()
        unsafe groups.deallocate()
    }

    /// The ports of a group's addresses towards each backend and over each protocol.
    public func ports(ofGroup group: Int) -> [Ports] {
        let count = layout.portSpaces * 2
        return unsafe Array(UnsafeBufferPointer(start: cells + group * count, count: count))
    }

    /// Counts the port of a connection.
    func add(address: UInt16, portSpace: UInt16, isUDP: Bool, isResting: Bool) {
        guard Int(address) < layout.groupOfAddress.count, Int(portSpace) < layout.portSpaces
        else { return }
        let group = unsafe Int(groups[Int(address)])
        guard group >= 0, group < layout.groups else { return }
        let cell = (group &* layout.portSpaces &+ Int(portSpace)) &* 2 &+ (isUDP ? 1 : 0)
        unsafe cells[cell].taken &+= 1
        if isResting { unsafe cells[cell].resting &+= 1 }
    }
}

extension Pipeline {
    /// Carries a census on by one step, as ``advance(_:from:_:at:)`` does with other walks.
    func advance(
        _ census: TableCensus, from cursor: inout UInt32,
        _ snapshot: borrowing ForwardingSnapshot, at tick: Tick
    ) -> Bool {
        if cursor == 0 { census.fragments = fragments.count(at: tick) }
        guard census.layout.countsPorts else { return true }
        let end = min(connections.highWaterMark, cursor &+ Self.scanStep &+ 1)
        var index = cursor &+ 1
        while index < end {
            if connections[index].state != .free, connections[index].mode == .snat {
                let entry = connections[index]
                census.add(
                    address: entry.snatAddress,
                    portSpace: snapshot.backend(entry.backend).portSpace,
                    isUDP: entry.key.transportNumber == TransportProtocol.udp.rawValue,
                    isResting: entry.state == .closed)
            }
            index &+= 1
        }
        cursor = index &- 1
        return index >= connections.highWaterMark
    }
}
