// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import ControlPlane

/// What packet the words of `xdplb trace` mean.
@Suite struct TraceRequestTests {
    @Test func `the words become the packet`() throws {
        let packet = try TraceRequest(
            flow: "tcp 10.0.0.9:4444 > 40.1.1.1:80", flags: "sa", size: 500
        )
        .packet()
        #expect(packet.flow.description == "tcp 10.0.0.9:4444 > 40.1.1.1:80")
        #expect(packet.flags == [.syn, .ack] && packet.byteCount == 500 && !packet.isEcho)
    }

    @Test func `without flags it is a SYN, without a size as small as usual`() throws {
        let tcp = try TraceRequest(flow: "tcp 10.0.0.9:1 > 40.1.1.1:80").packet()
        #expect(tcp.flags == .syn && tcp.byteCount == 60)
        let udp = try TraceRequest(flow: "udp [2001:db8::9]:1 > [2001:db8:40::1]:53").packet()
        #expect(udp.flow.source.family == .ipv6 && udp.byteCount >= 60)
        let echo = try TraceRequest(flow: "icmp 10.0.0.9 > 40.1.1.1").packet()
        #expect(echo.isEcho)
    }

    @Test(
        arguments: [
            ("", nil, nil, "is not 'tcp|udp"),
            ("tcp 10.0.0.9:1 40.1.1.1:80", nil, nil, "is not 'tcp|udp"),
            ("sctp 10.0.0.9:1 > 40.1.1.1:80", nil, nil, "is not 'tcp|udp"),
            ("tcp 10.0.0.9 > 40.1.1.1:80", nil, nil, "'10.0.0.9' is not an address with port"),
            ("icmp 10.0.0.9:1 > 40.1.1.1", nil, nil, "'10.0.0.9:1' is not an address without port"),
            ("tcp 10.0.0.9:0 > 40.1.1.1:80", nil, nil, "not an address with port"),
            ("tcp 10.0.0.9:1 > [2001:db8::1]:80", nil, nil, "different families"),
            ("udp 10.0.0.9:1 > 40.1.1.1:80", "S", nil, "flags are for tcp"),
            ("tcp 10.0.0.9:1 > 40.1.1.1:80", "SX", nil, "flag 'X' is not one of"),
            ("tcp 10.0.0.9:1 > 40.1.1.1:80", nil, 39, "size 39 is not within 40...9000"),
            ("tcp 10.0.0.9:1 > 40.1.1.1:80", nil, 9001, "size 9001 is not within"),
        ] as [(String, String?, Int?, String)])
    func `words that mean no packet are refused with what was expected`(
        flow: String, flags: String?, size: Int?, message: String
    ) {
        let refusal = #expect(throws: ChangeRefused.self) {
            _ = try TraceRequest(flow: flow, flags: flags, size: size).packet()
        }
        #expect(refusal?.message.contains(message) == true, "\(refusal?.message ?? "")")
    }
}
