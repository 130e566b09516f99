// SPDX-License-Identifier: Apache-2.0

/// Two namespaces joined by a veth pair: the balancer's end and everybody else's.
///
/// Checksums and segmentation are done in software at both ends, as a veth hands over partial
/// checksums and giant frames otherwise.
public struct VethPair: Sendable {
    /// The balancer's interface.
    public static let nearName = "lb0"
    /// The other end.
    public static let farName = "peer0"
    /// Hardware address of the balancer's interface.
    public static let nearMAC: [UInt8] = [0x02, 0, 0, 0, 0, 0x01]
    /// Hardware address of the other end.
    public static let farMAC: [UInt8] = [0x02, 0, 0, 0, 0, 0x64]
    /// Address of the balancer's interface, in a /24.
    public static let nearAddress = "20.1.1.1"
    /// Address of the other end.
    public static let farAddress = "20.1.1.100"

    /// Where ``nearName`` is.
    public let near: Namespace
    /// Where ``farName`` is.
    public let far: Namespace

    /// Makes the pair, hands it to `body`, and removes it however `body` ends.
    ///
    /// - Parameters:
    ///   - queues: Receive and transmit queues of both ends.
    ///   - body: What to do; it starts outside both namespaces.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or a ``CommandError``.
    public static func with<Result>(
        queues: Int = 1, _ body: (VethPair) async throws -> Result
    ) async throws -> Result {
        let near = try Namespace("near")
        defer { near.close() }
        let far = try Namespace("far")
        defer { far.close() }
        let count = String(queues)
        try near.run(
            "ip", "link", "add", nearName, "numrxqueues", count, "numtxqueues", count,
            "type", "veth", "peer", "name", farName, "netns", far.name,
            "numrxqueues", count, "numtxqueues", count)
        try setUp(near, nearName, nearMAC, nearAddress)
        try setUp(far, farName, farMAC, farAddress)
        return try await body(VethPair(near: near, far: far))
    }

    private static func setUp(
        _ namespace: Namespace, _ name: String, _ mac: [UInt8], _ address: String
    ) throws(CommandError) {
        let digits = mac.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        try namespace.run(
            "ip", "link", "set", name, "address", digits.joined(separator: ":"), "up")
        try namespace.run("ip", "address", "add", "\(address)/24", "dev", name)
        try namespace.run(
            "ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off",
            "gro", "off")
    }
}
