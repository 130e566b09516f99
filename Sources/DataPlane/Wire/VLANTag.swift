// SPDX-License-Identifier: Apache-2.0

/// The tag of a VLAN (IEEE 802.1Q), in place: four bytes after the Ethernet addresses.
struct VLANTag {
    static let byteCount = 4
    /// The bits of the tag control information that name the VLAN.
    static let identifierMask: UInt16 = 0x0fff

    private let bytes: HeaderBytes

    /// `nil` when the frame is shorter than header and tag.
    @inline(__always)
    init?(in frame: Frame) {
        guard
            let bytes = frame.bytes(at: EthernetHeader.byteCount, count: Self.byteCount)
        else { return nil }
        self.bytes = bytes
    }

    /// Priority and VLAN.
    @inline(__always)
    var control: UInt16 {
        get { bytes.load(0) }
        nonmutating set { bytes.store(newValue, at: 0) }
    }

    /// The type of what follows.
    @inline(__always)
    var type: UInt16 {
        get { bytes.load(2) }
        nonmutating set { bytes.store(newValue, at: 2) }
    }
}

/// The Ethernet header with the VLAN tag that the link has, if it has one.
enum LinkHeader {
    /// What follows the header of a frame that came; `nil` when the frame is too short or tagged
    /// otherwise than the link.
    @inline(__always)
    static func type(of frame: Frame, on link: LinkRecord) -> UInt16? {
        guard let ethernet = EthernetHeader(in: frame) else { return nil }
        if link.vlan == 0 { return ethernet.type }
        guard ethernet.type == EthernetHeader.EtherType.vlan, let tag = VLANTag(in: frame),
            tag.control & VLANTag.identifierMask == link.vlan
        else { return nil }
        return tag.type
    }

    /// Writes all but the addresses; `false` when the frame is too short.
    @inline(__always)
    static func write(_ type: UInt16, in frame: Frame, on link: LinkRecord) -> Bool {
        guard let ethernet = EthernetHeader(in: frame) else { return false }
        if link.vlan == 0 {
            ethernet.type = type
            return true
        }
        guard let tag = VLANTag(in: frame) else { return false }
        ethernet.type = EthernetHeader.EtherType.vlan
        tag.control = link.vlan
        tag.type = type
        return true
    }
}
