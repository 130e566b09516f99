// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import CXDP
internal import Glibc

/// What the kernel tells about a network device, as far as sockets depend on it.
public struct InterfaceFacts: Equatable, Sendable {
    /// Its name.
    public let name: String
    /// Its number.
    public let index: Int
    /// Its driver; `unknown` when it does not say.
    public let driver: String
    /// Its MTU in bytes.
    public let mtu: Int
    /// Its hardware address, six bytes.
    public let mac: [UInt8]
    /// RX queues there are now.
    public let rxQueueCount: Int
    /// Its NUMA node; `nil` when the machine has one, or it is virtual.
    public let numaNode: Int?
    /// Its channels; `nil` when the driver does not tell.
    public let channels: Channels?
    /// Its own rings, which are not the sockets'; `nil` when the driver does not tell.
    public let rings: Rings?

    /// Receive and transmit queues (`ethtool -l`), and how many there could be.
    public struct Channels: Equatable, Sendable {
        /// Pairs of both.
        public let combined: Int
        /// Most pairs.
        public let combinedMaximum: Int
        /// Queues that only receive.
        public let rx: Int
        /// Queues that only transmit.
        public let tx: Int
    }

    /// Descriptors of each queue's rings (`ethtool -g`), and how many there could be.
    public struct Rings: Equatable, Sendable {
        /// To receive.
        public let rx: Int
        /// Most to receive.
        public let rxMaximum: Int
        /// To transmit.
        public let tx: Int
        /// Most to transmit.
        public let txMaximum: Int
    }

    /// Reads the facts.
    ///
    /// - Throws: When there is no such device in this network namespace.
    public init(name: String) throws(XSKError) {
        let index = unsafe if_nametoindex(name)
        guard index != 0 else {
            throw XSKError(
                "cannot find interface \(name)", errno: Glibc.errno,
                remedy: "'ip link' lists the interfaces of this network namespace")
        }
        self.name = name
        self.index = Int(index)
        var driver = [CChar](repeating: 0, count: 32)
        let hasDriver = unsafe cplatform_driver(name, &driver, 32) == 0
        let text = driver.map { UInt8(bitPattern: $0) }.prefix { $0 != 0 }
        self.driver = hasDriver ? String(decoding: text, as: UTF8.self) : "unknown"
        mtu = Self.number("mtu", of: name) ?? 1500
        let address = Self.attribute("address", of: name) ?? ""
        mac = address.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        rxQueueCount = Self.rxQueues(of: name)
        let node = Self.number("device/numa_node", of: name) ?? -1
        numaNode = node >= 0 ? node : nil
        channels = Self.channels(of: name)
        rings = Self.rings(of: name)
    }

    private static func channels(of name: String) -> Channels? {
        var found = cplatform_channels()
        guard unsafe cplatform_channels(name, &found) == 0 else { return nil }
        return Channels(
            combined: Int(found.combined), combinedMaximum: Int(found.max_combined),
            rx: Int(found.rx), tx: Int(found.tx))
    }

    private static func rings(of name: String) -> Rings? {
        var found = cplatform_rings()
        guard unsafe cplatform_rings(name, &found) == 0 else { return nil }
        return Rings(
            rx: Int(found.rx), rxMaximum: Int(found.max_rx), tx: Int(found.tx),
            txMaximum: Int(found.max_tx))
    }

    /// RX queues of a device now: a driver may add some when a program is attached.
    public static func rxQueues(of name: String) -> Int {
        var count = 0
        while unsafe access("/sys/class/net/\(name)/queues/rx-\(count)", F_OK) == 0 { count += 1 }
        return count
    }

    private static func attribute(_ path: String, of name: String) -> String? {
        FileText.read("/sys/class/net/\(name)/\(path)").map { $0.filter { !$0.isNewline } }
    }

    private static func number(_ path: String, of name: String) -> Int? {
        attribute(path, of: name).flatMap(Int.init)
    }
}

extension InterfaceFacts {
    /// Bytes of a chunk that the kernel keeps in front of a frame (XDP_PACKET_HEADROOM).
    static let headroom = 256

    /// Bytes of a chunk that hold a frame, rounded down to 128 as drivers do.
    static func room(inChunkOf size: Int) -> Int { (size - headroom) & ~127 }

    /// The largest MTU whose frames fit a chunk: with Ethernet header and two VLAN tags.
    public static func mostMTU(inChunksOf size: Int) -> Int { room(inChunkOf: size) - 22 }

    /// Whether a driver gives the NIC a power of two less than a chunk of 2048 bytes has.
    public static func cutsShortChunks(_ driver: String) -> Bool {
        driver == "igb" || driver == "igc"
    }

    /// Checks what some kernels accept although frames would be cut: MTU against chunk.
    ///
    /// - Throws: When a frame of the MTU does not fit a chunk, or chunks are of a size that some
    ///   drivers corrupt frames with.
    public func checkChunks(of chunkSize: Int) throws(XSKError) {
        let most = Self.mostMTU(inChunksOf: chunkSize)
        guard mtu <= most else {
            throw XSKError(
                """
                cannot use \(name): frames of its MTU \(mtu) do not fit chunks of \(chunkSize) \
                bytes (\(Self.room(inChunkOf: chunkSize)) of them hold a frame). Set \
                'chunk_size: 4096', or lower the MTU: 'ip link set \(name) mtu \(most)'
                """)
        }
        guard chunkSize >= 4096 || !Self.cutsShortChunks(driver) else {
            throw XSKError(
                """
                cannot use \(name): with chunks of \(chunkSize) bytes the driver \(driver) \
                delivers frames over 1024 bytes truncated and counts no error. Set \
                'chunk_size: 4096'
                """)
        }
    }

    /// Checks that attaching has not added RX queues, on which traffic would bypass the sockets.
    ///
    /// - Throws: When there are more than there were.
    public func checkQueuesUnchanged() throws(XSKError) {
        let now = Self.rxQueues(of: name)
        guard now <= rxQueueCount else {
            throw XSKError(
                """
                cannot use \(name): its driver \(driver) grew from \(rxQueueCount) to \(now) RX \
                queues when the program was attached, and traffic on the added ones would bypass \
                xdplb. Set the channels to the maximum first: 'ethtool -L \(name) combined MAX' \
                ('ethtool -l \(name)' shows it)
                """)
        }
    }
}
