// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Glibc
import TestSupport
import Testing

@testable import ControlPlane

/// Probes against the kernel at the other end of a veth pair, which takes no tunnels apart.
///
/// The end-to-end tests have backends that do.
@Suite struct KernelProbeTests {
    private static let nobody = "20.1.1.77"

    private static var health: HealthConfiguration {
        var health = HealthConfiguration()
        health.kind = .tcp
        health.timeout = .milliseconds(500)
        return health
    }

    private static func tunnel(
        to backend: String, from source: String = VethPair.nearAddress, mtu: Int = 1500
    ) -> Tunnel {
        Tunnel(
            vip: PlanFixture.address("40.1.1.1"), port: 80, source: PlanFixture.address(source),
            backend: PlanFixture.address(backend),
            outerSource: PlanFixture.address(VethPair.nearAddress), largestPacket: mtu - 20)
    }

    private static func subject(
        _ backend: String, port: UInt16 = 1, from source: String? = VethPair.nearAddress
    ) -> BackendTrial.Subject {
        .init(
            address: PlanFixture.address(backend), port: port, health: health,
            tunnel: source.map { tunnel(to: backend, from: $0) })
    }

    private static func run(
        _ pair: VethPair, _ subjects: BackendTrial.Subject...
    ) async -> [BackendTrial.Outcome] {
        await pair.near.perform { BackendTrial.run(subjects) }
    }

    @Test func `a backend that does not decapsulate gets no answer, and ICMP says why`()
        async throws
    {
        try await VethPair.with { pair in
            let outcome = try #require(
                await Self.run(pair, Self.subject(VethPair.farAddress)).first)
            let tunnel = try #require(outcome.tunnel)
            #expect(tunnel.result == .timeout)
            #expect(tunnel.took >= Self.health.timeout, "an error that may be forged ends nothing")
            #expect(tunnel.rejection == ENOPROTOOPT)
            #expect(tunnel.refusedTunnel == "ICMP protocol unreachable")
            #expect(outcome.lostByteCount == nil)
        }
    }

    @Test func `what ICMP says of one backend fails no probe of another`() async throws {
        try await VethPair.with { pair in
            let others = Array(repeating: Self.subject(VethPair.farAddress), count: 20)
            let subjects = others + [Self.subject(Self.nobody)] + others
            let outcomes = await pair.near.perform { BackendTrial.run(subjects) }
            #expect(outcomes.count == subjects.count)
            #expect(outcomes.allSatisfy { $0.tunnel?.result == .timeout })
            #expect(outcomes.allSatisfy { $0.tunnel?.error == nil })
            #expect(outcomes[20].tunnel?.rejection == nil)
            #expect(outcomes[20].direct.result == .timeout)
        }
    }

    @Test func `what cannot be sent is an error, with its number`() async throws {
        try await VethPair.with { pair in
            let routeless = await Self.run(pair, Self.subject("30.0.0.1")).first
            #expect(routeless?.tunnel?.error == ENETUNREACH)
            #expect(routeless?.direct.error == ENETUNREACH)
            let foreign = Self.subject(VethPair.farAddress, from: "20.1.1.2")
            #expect(await Self.run(pair, foreign).first?.tunnel?.error == EADDRNOTAVAIL)
            let large = await pair.near.perform {
                var outcome: ProbeOutcome?
                guard let loop = try? ProbeLoop() else { return outcome }
                let tunnel = Self.tunnel(to: VethPair.farAddress, mtu: 1501)
                let echo = Echo(identifier: 1, number: 1, dataCount: 1453)
                ProbeKit(loop).echo(echo, tunnel, timeout: .seconds(1)) { outcome = $0 }.start()
                return outcome
            }
            #expect(large?.error == EMSGSIZE)
        }
    }

    @Test func `a connection is answered, refused, or not answered`() async throws {
        try await VethPair.with { pair in
            let listener = try await pair.far.perform { try Listener() }
            let outcomes = await Self.run(
                pair, Self.subject(VethPair.farAddress, port: listener.port, from: nil),
                Self.subject(VethPair.farAddress, from: nil), Self.subject(Self.nobody, from: nil))
            #expect(outcomes.map(\.direct.result) == [.success, .refused, .timeout])
            #expect(outcomes.allSatisfy { $0.tunnel == nil })
        }
    }

    @Test func `more backends than are probed at once are all probed`() async throws {
        try await VethPair.with { pair in
            let listener = try await pair.far.perform { try Listener() }
            let subjects = Array(
                repeating: Self.subject(VethPair.farAddress, port: listener.port, from: nil),
                count: 300)
            let outcomes = await pair.near.perform { BackendTrial.run(subjects) }
            #expect(outcomes.count == 300 && outcomes.allSatisfy { $0.direct.result == .success })
        }
    }
}

/// A socket that listens at a free port of every address of where it is made.
private final class Listener: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = made
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try #require(listen(made, 512) == 0)
        let named = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe getsockname(made, pointer, &length)
            }
        }
        try #require(named == 0)
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}
