// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import DataPlane
import Glibc
import TestSupport
import Testing

/// Probes against the kernel at the other end of a veth pair, which takes no tunnels apart.
///
/// The end-to-end tests have backends that do.
@Suite struct KernelProbeTests {
    private static func address(_ text: String) throws -> IPAddress {
        try #require(IPAddress(text))
    }

    private static func probe(
        _ pair: VethPair, via backend: String, from source: String = VethPair.nearAddress,
        byteCount: Int? = nil
    ) async throws -> AttemptOutcome {
        let vip = try address("40.1.1.1")
        let (backend, source) = (try address(backend), try address(source))
        return await pair.near.perform {
            TunnelAttempt.connect(
                vip: vip, port: 80, via: backend, source: source, packetByteCount: byteCount,
                timeout: .milliseconds(500))
        }
    }

    @Test func `a backend that does not decapsulate says so by ICMP`() async throws {
        try await VethPair.with { pair in
            let outcome = try await Self.probe(pair, via: VethPair.farAddress)
            #expect(outcome == .error(ENOPROTOOPT))
        }
    }

    @Test func `an address that nobody has does not answer in time`() async throws {
        try await VethPair.with { pair in
            let outcome = try await Self.probe(pair, via: "20.1.1.77")
            #expect(outcome == .timeout)
        }
    }

    @Test func `what cannot be sent is an error, with its number`() async throws {
        try await VethPair.with { pair in
            let routeless = try await Self.probe(pair, via: "30.0.0.1")
            #expect(routeless == .error(ENETUNREACH))
            let foreign = try await Self.probe(pair, via: VethPair.farAddress, from: "20.1.1.2")
            #expect(foreign == .error(EADDRNOTAVAIL))
            let large = try await Self.probe(pair, via: VethPair.farAddress, byteCount: 1481)
            #expect(large == .error(EMSGSIZE))
        }
    }

    @Test func `a connection is answered, refused, or not answered`() async throws {
        try await VethPair.with { pair in
            let listener = try await pair.far.perform { try Listener() }
            let far = try Self.address(VethPair.farAddress)
            let nobody = try Self.address("20.1.1.77")
            await pair.near.perform {
                let wait = Duration.milliseconds(500)
                #expect(
                    ConnectAttempt.connect(to: far, port: listener.port, timeout: wait).isAnswer)
                #expect(ConnectAttempt.connect(to: far, port: 1, timeout: wait) == .refused)
                #expect(ConnectAttempt.connect(to: nobody, port: 1, timeout: wait) == .timeout)
            }
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
        try #require(listen(made, 1) == 0)
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
