// SPDX-License-Identifier: Apache-2.0

/// The Ethernet II header (RFC 894), in place.
struct EthernetHeader {
    static let byteCount = 14

    /// Values of the type field (IEEE 802 numbers).
    enum EtherType {
        static let ipv4: UInt16 = 0x0800
        static let arp: UInt16 = 0x0806
        static let vlan: UInt16 = 0x8100
        static let ipv6: UInt16 = 0x86dd
    }

    private enum Offset {
        static let destination = 0
        static let source = 6
        static let type = 12
    }

    private let bytes: HeaderBytes

    /// `nil` when the frame is shorter than fourteen bytes.
    @inline(__always)
    init?(in frame: Frame) {
        guard let bytes = frame.bytes(at: 0, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    @inline(__always)
    var destination: MACAddress {
        get { address(at: Offset.destination) }
        nonmutating set { setAddress(newValue, at: Offset.destination) }
    }

    @inline(__always)
    var source: MACAddress {
        get { address(at: Offset.source) }
        nonmutating set { setAddress(newValue, at: Offset.source) }
    }

    @inline(__always)
    var type: UInt16 {
        get { bytes.load(Offset.type) }
        nonmutating set { bytes.store(newValue, at: Offset.type) }
    }

    /// Writes both addresses.
    @inline(__always)
    func setAddresses(destination: MACAddress, source: MACAddress) {
        setAddress(destination, at: Offset.destination)
        setAddress(source, at: Offset.source)
    }

    @inline(__always)
    private func address(at offset: Int) -> MACAddress {
        MACAddress(
            head: bytes.loadRaw(offset, as: UInt32.self),
            tail: bytes.loadRaw(offset + 4, as: UInt16.self))
    }

    @inline(__always)
    private func setAddress(_ address: MACAddress, at offset: Int) {
        bytes.storeRaw(address.head, at: offset)
        bytes.storeRaw(address.tail, at: offset + 4)
    }
}
