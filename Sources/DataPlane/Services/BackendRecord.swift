// SPDX-License-Identifier: Apache-2.0

/// A backend as the data path sees it.
struct BackendRecord: BitwiseCopyable {
    static let noNextHop = UInt32.max
    static let noPortSpace = UInt16.max

    var address: IPAddress
    /// Index in the plan's next hops, or ``noNextHop``.
    var nextHop: UInt32
    /// 0 keeps the packet's port.
    var port: UInt16
    var epoch: UInt16
    var portSpace: UInt16
    var admits: ForwardingPlan.Admits
    /// Whether ``mac`` is known.
    var isResolved: Bool
    /// Of its next hop.
    var mac: MACAddress

    /// ``epoch`` of connections that it carries as they are; none of them has one above 65535.
    var carriedEpoch: UInt32

    static let none = BackendRecord(
        address: FiveTuple.zero.source, nextHop: noNextHop, port: 0, epoch: 0,
        portSpace: noPortSpace, admits: .nothing, mac: nil)

    init(
        address: IPAddress, nextHop: UInt32, port: UInt16, epoch: UInt16, portSpace: UInt16,
        admits: ForwardingPlan.Admits, mac: MACAddress?
    ) {
        self.address = address
        self.nextHop = nextHop
        self.port = port
        self.epoch = epoch
        self.portSpace = portSpace
        self.admits = admits
        isResolved = mac != nil
        self.mac = mac ?? .zero
        carriedEpoch = admits != .nothing && mac != nil ? UInt32(epoch) : .max
    }

    init(_ backend: ForwardingPlan.Backend, _ nextHops: [ForwardingPlan.NextHop]) {
        self.init(
            address: backend.address,
            nextHop: backend.nextHop.map(UInt32.init) ?? Self.noNextHop, port: backend.port,
            epoch: backend.epoch, portSpace: backend.portSpace ?? Self.noPortSpace,
            admits: backend.admits, mac: backend.nextHop.flatMap { nextHops[$0].mac })
    }
}
