// SPDX-License-Identifier: Apache-2.0

/// The addresses and lengths of a frame, for words about it.
public struct FrameSummary: Hashable, Sendable {
    /// Hardware address it goes to.
    public var macDestination: MACAddress
    /// The VLAN it carries; `nil` when it carries none.
    public var vlan: UInt16?
    /// Its IP packet.
    public var packet: Packet

    /// An IP packet.
    public struct Packet: Hashable, Sendable {
        /// Where it comes from.
        public var source: IPAddress
        /// Where it goes.
        public var destination: IPAddress
        /// Protocol, or the type of the first extension header.
        public var transport: UInt8
        /// Time to live or hop limit.
        public var timeToLive: UInt8
        /// Bytes with its header.
        public var byteCount: Int
        /// The two words after the header without options: ports of TCP and UDP, type, code and
        /// checksum of ICMP.
        public var firstWord: UInt32

        /// `nil` when there is no whole IP header at `offset`.
        init?(in frame: Frame, at offset: Int) {
            guard let first = frame.bytes(at: offset, count: 1) else { return nil }
            let end: Int
            if first.load(0, as: UInt8.self) >> 4 == 6 {
                guard let ip = IPv6Header(in: frame, at: offset) else { return nil }
                source = ip.source
                destination = ip.destination
                transport = ip.nextHeader
                timeToLive = ip.hopLimit
                byteCount = IPv6Header.byteCount + Int(ip.payloadLength)
                end = offset + IPv6Header.byteCount
            } else {
                guard let ip = IPv4Header(in: frame, at: offset) else { return nil }
                source = IPAddress(IPv4Address(ip.source))
                destination = IPAddress(IPv4Address(ip.destination))
                transport = ip.transport
                timeToLive = ip.timeToLive
                byteCount = Int(ip.totalLength)
                end = offset + ip.headerLength
            }
            firstWord = frame.bytes(at: end, count: 4)?.load(0) ?? 0
        }

        /// Whether another IP packet is inside.
        public var isTunnel: Bool {
            transport == Encapsulation.ipv4InIP || transport == Encapsulation.ipv6InIP
        }
    }

    /// `nil` when the frame holds no IP packet.
    public init?(_ bytes: [UInt8]) {
        let summary: FrameSummary? = unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let frame = unsafe Frame(
                start: UnsafeMutableRawPointer(mutating: start), length: buffer.count, headroom: 0)
            guard let ethernet = EthernetHeader(in: frame) else { return nil }
            var offset = EthernetHeader.byteCount
            var vlan: UInt16?
            if ethernet.type == EthernetHeader.EtherType.vlan {
                vlan = VLANTag(in: frame).map { $0.control & VLANTag.identifierMask }
                offset += VLANTag.byteCount
            }
            guard let packet = Packet(in: frame, at: offset) else { return nil }
            return FrameSummary(
                macDestination: ethernet.destination, vlan: vlan, packet: packet)
        }
        guard let summary else { return nil }
        self = summary
    }

    private init(macDestination: MACAddress, vlan: UInt16?, packet: Packet) {
        self.macDestination = macDestination
        self.vlan = vlan
        self.packet = packet
    }
}
