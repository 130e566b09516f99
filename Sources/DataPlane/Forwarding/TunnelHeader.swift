// SPDX-License-Identifier: Apache-2.0

/// The link's header and the outer IP header of packets to one backend, ready but for what differs
/// from packet to packet.
///
/// 64 bytes that end where the inner packet begins: copied as they are, with junk in front of the
/// frame where it is shorter. Made by ``Encapsulation``, so that both write the same.
struct TunnelHeader: BitwiseCopyable {
    private typealias Words = (
        UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64
    )

    static let byteCount = 64
    /// Of these, what holds a link's header and an IPv4 one.
    private static let ipv4ByteCount = 40

    private var words: Words = (0, 0, 0, 0, 0, 0, 0, 0)
    /// The sum of the words of an IPv4 header that stay the same, not folded.
    private var fixedSum: UInt32 = 0
    /// Of an IPv4 header time to live and protocol, of an IPv6 one next header and hop limit.
    private var lifeWord: UInt32 = 0
    /// Bytes of the outer header; 0 when packets cannot be sent as it says.
    private(set) var overhead: UInt8 = 0

    /// Nothing can be sent.
    static let none = TunnelHeader()

    private init() {}

    /// The header towards a backend.
    init(to backend: IPAddress, at mac: MACAddress, on link: LinkRecord) {
        let overhead = Encapsulation.overhead(towards: backend)
        unsafe withUnsafeMutableBytes(of: &words) { bytes in
            guard let base = bytes.baseAddress else { return }
            let offset = Self.byteCount - link.headerLength
            let empty = unsafe Frame(
                start: base + offset, length: link.headerLength, headroom: offset)
            var layout = FrameLayout()
            layout.fragment = IPv4Header.Fragment.dontFragment
            let outer = Encapsulation.Outer(destination: backend, hash: 0, identification: 0)
            guard let header = Encapsulation.encapsulate(empty, layout, outer, on: link) else {
                return
            }
            EthernetHeader(in: header)?.setAddresses(destination: mac, source: link.mac)
            self.overhead = UInt8(overhead)
        }
        let time = UInt32(link.outerTimeToLive)
        let transport = UInt32(Encapsulation.ipv4InIP)
        lifeWord = backend.isIPv4 ? time << 24 | transport << 16 : transport << 8 | time
        fixedSum =
            0x4500 &+ UInt32(IPv4Header.Fragment.dontFragment) &+ (time << 8 | transport)
            &+ (link.outerIPv4 >> 16)
            &+ (link.outerIPv4 & 0xffff)
            &+ (backend.lowWord >> 16) &+ (backend.lowWord & 0xffff)
    }

    /// Puts the headers in front of a packet that ``FlowParser`` has accepted, and leaves padding
    /// behind it out.
    ///
    /// - Returns: The frame, ready to be sent; `nil`, with nothing written, when that is not to be
    ///   done this way: it is over the MTU, or the chunk has no room in front.
    @inline(__always)
    static func wrap(
        _ frame: Frame, _ layout: FrameLayout, hash: UInt64, identification: inout UInt16,
        in header: UnsafePointer<TunnelHeader>, on link: borrowing LinkRecord
    ) -> Frame? {
        let overhead = unsafe Int(header.pointee.overhead)
        let packetLength = Int(layout.packetLength)
        guard overhead != 0, packetLength &+ overhead <= link.mtu,
            frame.headroom >= byteCount
        else { return nil }
        let typeOfService = UInt32(
            layout.typeOfService & link.typeOfServiceMask | link.typeOfServiceBits)
        let more: UInt32 =
            layout.isIPv6 ? UInt32(Encapsulation.ipv6InIP - Encapsulation.ipv4InIP) : 0
        if overhead == IPv4Header.byteCount {
            let bytes = unsafe frame.filled(
                before: link.headerLength, with: header, count: ipv4ByteCount)
            let length = UInt32(truncatingIfNeeded: packetLength &+ overhead)
            bytes.store(0x4500_0000 | typeOfService << 16 | length, at: ipv4ByteCount - 20)
            var sum = unsafe header.pointee.fixedSum &+ typeOfService &+ length &+ more
            if layout.fragment & IPv4Header.Fragment.dontFragment == 0 {
                identification &+= 1
                sum &+= UInt32(identification) &- UInt32(IPv4Header.Fragment.dontFragment)
                bytes.store(UInt32(identification) << 16, at: ipv4ByteCount - 16)
            }
            if link.outerIPv4HashMask != 0 {
                let hashed = UInt32(truncatingIfNeeded: hash) & link.outerIPv4HashMask
                sum &+= (hashed >> 16) &+ (hashed & 0xffff)
                bytes.store(link.outerIPv4 | hashed, at: ipv4ByteCount - 8)
            }
            var third = unsafe header.pointee.lifeWord &+ more << 16
            third |= UInt32(InternetChecksum(ofSum: sum).value)
            bytes.store(third, at: ipv4ByteCount - 12)
        } else {
            let bytes = unsafe frame.filled(
                before: link.headerLength, with: header, count: byteCount)
            let label = UInt32(truncatingIfNeeded: hash >> 40) & 0xf_ffff
            bytes.store(6 << 28 | typeOfService << 20 | label, at: byteCount - 40)
            let second = unsafe UInt32(layout.packetLength) << 16 | header.pointee.lifeWord
            bytes.store(second &+ more << 8, at: byteCount - 36)
            if link.outerIPv6HashMask != 0 {
                bytes.store(
                    link.outerIPv6.low | hash & link.outerIPv6HashMask, at: byteCount - 24)
            }
        }
        return frame.moved(
            by: 0 &- overhead, length: link.headerLength &+ packetLength &+ overhead)
    }
}

extension Frame {
    /// Copies the last `count` bytes of a header to where they end at `offset`.
    ///
    /// - Precondition: the headroom and `offset` together are not smaller.
    /// - Returns: The bytes.
    @inline(__always)
    fileprivate func filled(
        before offset: Int, with header: UnsafePointer<TunnelHeader>, count: Int
    ) -> HeaderBytes {
        assert(headroom + offset >= count)
        let source = unsafe UnsafeRawPointer(header) + (TunnelHeader.byteCount - count)
        return unsafe bytes(from: offset - count, copying: source, count: count)
    }
}
