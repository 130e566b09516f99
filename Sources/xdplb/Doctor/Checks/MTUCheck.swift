// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import XSKRing

/// Whether frames fit: the tunnel's on the link, and all of them in chunks.
struct MTUCheck: DoctorCheck {
    var interface: String
    var driver: String
    var mtu: Int
    /// Bytes of a chunk, as configured.
    var chunkSize: Int
    /// Bytes of the largest outer header; `nil` when nothing is tunnelled.
    var overhead: Int?
    /// Bytes of the IP and TCP headers of clients: 40, or 60 when there are IPv6 VIPs.
    var headers: Int
    /// What is done about packets that do not fit.
    var tooBig: EncapsulationConfiguration.TooBig
    /// Whether the load balancer lowers the MSS of SYNs.
    var clampsMSS: Bool

    private static let check = "mtu"
    /// What clients' packets have at most on an ordinary network.
    private static let ordinary = 1500
    /// The MTU over which a driver takes no program.
    private static let mostWithXDP = ["virtio_net": 3506]

    var findings: [Finding] {
        var findings: [Finding] = []
        let most = InterfaceFacts.mostMTU(inChunksOf: chunkSize)
        if mtu > most {
            findings.append(
                .fail(
                    Self.check,
                    "\(mtu), and chunks of \(chunkSize) bytes hold frames of MTU \(most)",
                    "start is refused",
                    Remedy(
                        "ip link set \(interface) mtu \(most)",
                        or: chunkSize < 4096 ? "'chunk_size: 4096'" : nil)))
        }
        if chunkSize < 4096, InterfaceFacts.cutsShortChunks(driver) {
            findings.append(
                .fail(
                    Self.check, "chunks of \(chunkSize) bytes",
                    "\(driver) delivers frames over 1024 bytes truncated; start is refused",
                    Remedy(words: "chunk_size: 4096")))
        }
        if let most = Self.mostWithXDP[driver], mtu > most {
            findings.append(
                .fail(
                    Self.check, "\(mtu), and \(driver) takes XDP programs up to \(most)",
                    "start is refused", Remedy("ip link set \(interface) mtu \(most)")))
        }
        if let finding = tunnel { findings.append(finding) }
        return findings.isEmpty ? [.ok(Self.check, roomText)] : findings
    }

    private var roomText: String {
        overhead.map { "\(mtu), with room for the tunnel's \($0)" } ?? "\(mtu), no tunnel"
    }

    private var tunnel: Finding? {
        guard let overhead, mtu < Self.ordinary + overhead else { return nil }
        let fact = "\(mtu), the tunnel adds \(overhead)"
        let segment = mtu - overhead - headers
        if clampsMSS {
            return .info(
                Self.check, fact, "segments are kept to \(segment) bytes by 'mss_clamp: auto'")
        }
        return .warn(
            Self.check, fact,
            tooBig == .reply
                ? "full-size segments draw ICMP too big" : "full-size segments are dropped",
            Remedy(
                "ip link set \(interface) mtu \(Self.ordinary + overhead)",
                or: "advmss \(segment) on the backends"))
    }
}

extension MTUCheck {
    init(reading subject: DoctorSubject) {
        let configuration = subject.configuration
        interface = subject.name
        driver = subject.interface.driver
        mtu = subject.interface.mtu
        chunkSize = configuration.interface.chunkSize
        let tunnelled = configuration.services.filter { $0.mode == .dsr }
        let ends = tunnelled.flatMap { configuration.backends(of: $0) }
        overhead =
            tunnelled.isEmpty ? nil : ends.contains { $0.address.family == .ipv6 } ? 40 : 20
        headers = tunnelled.contains { $0.vips.contains { $0.family == .ipv6 } } ? 60 : 40
        tooBig = configuration.encapsulation.tooBig
        clampsMSS = configuration.encapsulation.mssClamp == .auto
    }
}
