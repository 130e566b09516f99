// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Writes the frames of `bench`: 60 bytes, as short as Ethernet has them, or 74 where an IPv6
/// header with TCP needs them.
///
/// Made from a template for UDP and one for TCP; a flow changes the addresses, the source port and
/// the IPv4 header's checksum. The transport's checksum is any number: no load balancer reads the
/// data it covers.
struct BenchFrames {
    /// Clients of a source address.
    private static let portsPerAddress = 14_336

    private let udp: [UInt8]
    private let tcp: [UInt8]
    private let traffic: BenchWorkload.Traffic
    private let isIPv6: Bool

    /// Frames from a router to the load balancer.
    ///
    /// - Parameters:
    ///   - workload: What they carry, and of which family they are.
    ///   - opening: Whether TCP segments are SYNs; otherwise they are ACKs.
    init(_ workload: BenchWorkload, opening: Bool) {
        traffic = workload.traffic
        isIPv6 = workload.family == .ipv6
        let flags: UInt8 = opening ? 0x02 : 0x10
        let ports: [UInt8] = [4, 0, 0, 80]
        udp = Self.frame(
            workload, 17, ports + [0, 26, 0x56, 0x78] + [UInt8](repeating: 0, count: 18))
        tcp = Self.frame(
            workload, 6,
            ports + [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0x56, 0x78, 0, 0]
                + [UInt8](repeating: 0, count: 6))
    }

    /// Bytes of every frame.
    var length: Int { udp.count }

    /// Writes the frame of a flow.
    func write(flow: Int, to chunk: UnsafeMutableRawBufferPointer) {
        func store(_ value: Int, _ offset: Int) {
            unsafe chunk.storeBytes(
                of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset,
                as: UInt16.self)
        }
        let isMixed = traffic == .mixed
        unsafe chunk.copyBytes(from: traffic == .tcp || isMixed && flow & 1 == 1 ? tcp : udp)
        let client = 1 + flow / Self.portsPerAddress
        let vip = 1 + (isMixed ? flow >> 1 & (BenchWorkload.vipCount - 1) : 0)
        store(1024 + flow % Self.portsPerAddress * 4, isIPv6 ? 54 : 34)
        store(client, isIPv6 ? 36 : 28)
        guard !isIPv6 else {
            store(vip, 52)
            return
        }
        // The template's source ends in 0.0, and the VIP is the first.
        let before = unsafe UInt16(bigEndian: chunk.load(fromByteOffset: 24, as: UInt16.self))
        let sum = Int(~before) + client + vip - 1
        store(~((sum & 0xffff) + (sum >> 16)), 24)
        unsafe chunk.storeBytes(of: UInt8(vip), toByteOffset: 33, as: UInt8.self)
    }

    /// Makes a frame to a backend its answer: addresses and ports change places, and a SYN is
    /// acknowledged.
    ///
    /// The IPv4 header's checksum stays right, as its words are the same.
    func turnAround(_ chunk: UnsafeMutableRawBufferPointer) {
        func swap(_ first: Int, _ second: Int, _ count: Int) {
            for offset in 0..<count { unsafe chunk.swapAt(first + offset, second + offset) }
        }
        let addressLength = isIPv6 ? 16 : 4
        let source = isIPv6 ? 22 : 26
        let transport = isIPv6 ? 54 : 34
        swap(source, source + addressLength, addressLength)
        swap(transport, transport + 2, 2)
        if unsafe chunk[isIPv6 ? 20 : 23] == 6 { unsafe chunk[transport + 13] |= 0x10 }
    }

    private static func frame(
        _ workload: BenchWorkload, _ transport: UInt8, _ payload: [UInt8]
    ) -> [UInt8] {
        let macs: [UInt8] = [2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2]
        let vip = workload.vip(0).bytes
        if workload.family == .ipv6 {
            let source: [UInt8] =
                [0x20, 0x01, 0x0d, 0xb8, 0, 10] + [UInt8](repeating: 0, count: 10)
            return macs + [0x86, 0xdd, 0x60, 0, 0, 0, 0, UInt8(payload.count), transport, 64]
                + source + vip + payload
        }
        var header: [UInt8] = [
            0x45, 0, 0, UInt8(20 + payload.count), 0, 0, 0x40, 0, 64, transport, 0, 0, 10, 9, 0, 0,
        ]
        header += vip
        var sum: UInt32 = 0
        for index in stride(from: 0, to: header.count, by: 2) {
            sum += UInt32(header[index]) << 8 | UInt32(header[index + 1])
        }
        sum = (sum & 0xffff) + (sum >> 16)
        header[10] = UInt8(truncatingIfNeeded: ~sum >> 8)
        header[11] = UInt8(truncatingIfNeeded: ~sum)
        return macs + [8, 0] + header + payload
    }
}
