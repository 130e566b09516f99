// SPDX-License-Identifier: Apache-2.0

/// The link's header and the outer IP header of packets to one backend, ready but for what differs
/// from packet to packet: one cache line.
///
/// The headers end where the line ends, and are copied from a fixed place in it, with junk in front
/// of the frame where they are shorter. Made by ``Encapsulation``, so that both write the same.
struct TunnelHeader: BitwiseCopyable {
    private typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    private static let byteCount = 64
    /// Of its last bytes, those copied for IPv4 and for IPv6.
    private static let ipv4ByteCount = 40
    private static let ipv6ByteCount = 56

    /// ``BackendRecord/carriedEpoch``, or that of nobody when this way is not for the backend.
    private(set) var carriedEpoch: UInt32
    /// Bytes of the outer header.
    private var overhead: UInt16
    /// Whether it is of IPv4, and its source the same for all packets.
    private var isPlain: Bool
    /// The headers; before an IPv4 one, the sum of the words that stay the same, folded, in the
    /// upper half, and its third word without the checksum in the lower.
    private var words: Words

    /// Nothing is sent this way.
    static let none = TunnelHeader()

    private init() {
        carriedEpoch = .max
        overhead = 0
        isPlain = false
        words = (0, 0, 0, 0, 0, 0, 0)
    }

    /// The header towards a backend that is reached.
    init(to backend: BackendRecord, on link: LinkRecord) {
        self = .none
        let overhead = Encapsulation.overhead(towards: backend.address)
        // With a VLAN tag as well, an IPv6 header has no room.
        guard link.headerLength + overhead <= Self.ipv6ByteCount, backend.isResolved else {
            return
        }
        unsafe withUnsafeMutableBytes(of: &self) { bytes in
            guard let base = bytes.baseAddress else { return }
            let offset = Self.byteCount - link.headerLength
            let empty = unsafe Frame(
                start: base + offset, length: link.headerLength, headroom: offset)
            var layout = FrameLayout()
            layout.fragment = IPv4Header.Fragment.dontFragment
            let outer = Encapsulation.Outer(
                destination: backend.address, hash: 0, identification: 0)
            let header = Encapsulation.encapsulate(empty, layout, outer, on: link)
            header.flatMap(EthernetHeader.init(in:))?.setAddresses(
                destination: backend.mac, source: link.mac)
        }
        if backend.address.isIPv4 {
            let life = UInt32(link.outerTimeToLive) << 8 | UInt32(Encapsulation.ipv4InIP)
            let destination = backend.address.lowWord
            let sum =
                UInt32(IPv4Header.Fragment.dontFragment) &+ life
                &+ (link.outerIPv4 >> 16) &+ (link.outerIPv4 & 0xffff)
                &+ (destination >> 16) &+ (destination & 0xffff)
            words.0 = UInt64(InternetChecksum.fold(sum)) << 32 | UInt64(life) << 16
            isPlain = link.outerIPv4HashMask == 0
        }
        self.overhead = UInt16(overhead)
        carriedEpoch = backend.carriedEpoch
    }

    /// Puts the headers in front of a packet that ``FlowParser`` has accepted, and leaves padding
    /// behind it out.
    ///
    /// - Returns: The frame, ready to be sent; `nil`, with nothing written, when that is not to be
    ///   done this way: it is over the MTU, or the chunk has no room in front.
    @inline(__always)
    static func wrap(
        _ frame: Frame, _ layout: FrameLayout, hash: UInt64, identification: inout UInt16,
        in header: UnsafePointer<TunnelHeader>, with snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        guard unsafe header.pointee.isPlain, !layout.isIPv6 else {
            return unsafe wrapOther(frame, layout, hash, &identification, header, snapshot)
        }
        let first = layout.outerIPv4Word(on: snapshot.link)
        let totalLength = Int(first & 0xffff)
        let headerLength = snapshot.link.headerLength
        guard totalLength <= snapshot.link.mtu, frame.headroom >= byteCount else { return nil }
        let bytes = unsafe frame.filled(
            before: headerLength, with: header, count: ipv4ByteCount)
        bytes.store(first, at: ipv4ByteCount - 20)
        let fixed = unsafe header.pointee.words.0
        var sum = UInt32(truncatingIfNeeded: fixed >> 32) &+ first
        if layout.mayBeFragmented {
            sum &+= UInt32(truncatingIfNeeded: identify(bytes, &identification))
        }
        let third = UInt32(truncatingIfNeeded: fixed) | UInt32(InternetChecksum(ofSum: sum).value)
        bytes.store(third, at: ipv4ByteCount - 12)
        return frame.moved(by: -IPv4Header.byteCount, length: headerLength &+ totalLength)
    }

    /// Gives an outer header that may be cut up an identification (RFC 6864 §4.1).
    ///
    /// - Returns: What its words sum up to then, less those of one that may not.
    @inline(__always)
    private static func identify(_ bytes: HeaderBytes, _ identification: inout UInt16) -> UInt64 {
        identification &+= 1
        bytes.store(UInt32(identification) << 16, at: ipv4ByteCount - 16)
        // What it is added to has the header's first word in it, so no sum is below 0.
        return UInt64(identification) &- UInt64(IPv4Header.Fragment.dontFragment)
    }

    /// The same for what else there is: IPv6 inside or outside, a source that depends on the flow.
    @inline(never)
    private static func wrapOther(
        _ frame: Frame, _ layout: FrameLayout, _ hash: UInt64, _ identification: inout UInt16,
        _ header: UnsafePointer<TunnelHeader>, _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        let overhead = unsafe Int(header.pointee.overhead)
        let totalLength = Int(layout.packetLength) &+ overhead
        guard totalLength <= snapshot.link.mtu, frame.headroom >= byteCount else { return nil }
        if overhead == IPv4Header.byteCount {
            let bytes = unsafe frame.filled(
                before: snapshot.link.headerLength, with: header, count: ipv4ByteCount)
            let first = layout.outerIPv4Word(on: snapshot.link)
            bytes.store(first, at: ipv4ByteCount - 20)
            let fixed = unsafe header.pointee.words.0
            var sum = (fixed >> 32) &+ UInt64(first)
            var third = UInt32(truncatingIfNeeded: fixed)
            if layout.isIPv6 {
                sum &+= UInt64(transportDifference)
                third &+= UInt32(transportDifference) << 16
            }
            if layout.mayBeFragmented {
                sum &+= identify(bytes, &identification)
            }
            if snapshot.link.outerIPv4HashMask != 0 {
                let hashed = UInt32(truncatingIfNeeded: hash) & snapshot.link.outerIPv4HashMask
                sum &+= UInt64(hashed)
                bytes.store(snapshot.link.outerIPv4 | hashed, at: ipv4ByteCount - 8)
            }
            bytes.store(
                third | UInt32(InternetChecksum(ofWideSum: sum).value), at: ipv4ByteCount - 12)
        } else {
            let bytes = unsafe frame.filled(
                before: snapshot.link.headerLength, with: header, count: ipv6ByteCount)
            let typeOfService = UInt32(
                layout.typeOfService & snapshot.link.typeOfServiceMask
                    | snapshot.link.typeOfServiceBits)
            let label = UInt32(truncatingIfNeeded: hash >> 40) & 0xf_ffff
            let first = 6 << 28 | typeOfService << 20 | label
            bytes.store(first, at: ipv6ByteCount - 40)
            bytes.store(layout.packetLength, at: ipv6ByteCount - 36)
            if layout.isIPv6 {
                bytes.store(Encapsulation.ipv6InIP, at: ipv6ByteCount - 34)
            }
            if snapshot.link.outerIPv6HashMask != 0 {
                let source = snapshot.link.outerIPv6.low | hash & snapshot.link.outerIPv6HashMask
                bytes.store(source, at: ipv6ByteCount - 24)
            }
        }
        return frame.moved(by: 0 &- overhead, length: snapshot.link.headerLength &+ totalLength)
    }

    private static let transportDifference = Encapsulation.ipv6InIP - Encapsulation.ipv4InIP
}

extension FrameLayout {
    /// The first word of an outer header of IPv4: version, header length, type of service, length.
    @inline(__always)
    fileprivate func outerIPv4Word(on link: borrowing LinkRecord) -> UInt32 {
        serviceAndLength & link.outerWordMask &+ link.outerWordBits
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
        let source = unsafe UnsafeRawPointer(header) + (MemoryLayout<TunnelHeader>.size - count)
        return unsafe bytes(from: offset - count, copying: source, count: count)
    }
}
