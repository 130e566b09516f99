// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct PacketFilterProgramTests {
    /// What `tcpdump -ddd -y EN10MB 'tcp dst port 80'` prints (tcpdump 4.99).
    private static let port80 = """
        16
        40 0 0 12
        21 0 4 34525
        48 0 0 20
        21 0 11 6
        40 0 0 56
        21 8 9 80
        21 0 8 2048
        48 0 0 23
        21 0 6 6
        40 0 0 20
        69 4 0 8191
        177 0 0 14
        72 0 0 16
        21 0 1 80
        6 0 0 262144
        6 0 0 0
        """

    private static func accepts(_ program: PacketFilterProgram, _ frame: [UInt8]) -> Bool {
        program.accepts(frame, length: UInt32(frame.count))
    }

    @Test func `a program of tcpdump's takes what its expression says`() throws {
        let program = try PacketFilterProgram(Self.port80)
        let packet = PacketBuilder()
        #expect(Self.accepts(program, packet.frame))
        #expect(Self.accepts(program, packet.with { $0.options = [1, 1, 1, 0] }.frame))
        #expect(
            Self.accepts(
                program,
                packet.with {
                    $0.source = "2001:db8::1"
                    $0.destination = "2001:db8::2"
                }.frame))
        #expect(!Self.accepts(program, packet.with { $0.destinationPort = 81 }.frame))
        #expect(!Self.accepts(program, packet.with { $0.tcpFlags = nil }.frame))
        #expect(!Self.accepts(program, packet.with { $0.fragment = 100 }.frame))
        // It reads beyond the end.
        #expect(!Self.accepts(program, Array(packet.frame.prefix(30))))
        #expect(!Self.accepts(program, []))
    }

    @Test func `the length is that of the whole frame, not of the copy`() throws {
        // ld len; jgt #1000, accept, refuse
        let program = try PacketFilterProgram("4\n128 0 0 0\n37 0 1 1000\n6 0 0 1\n6 0 0 0")
        #expect(program.accepts([1, 2, 3], length: 1500))
        #expect(!program.accepts([1, 2, 3], length: 900))
    }

    /// Programs that compute: what they leave in the accumulator is compared with a constant.
    @Test(
        arguments: [
            ("0 0 0 7, 4 0 0 5", 12), ("0 0 0 7, 20 0 0 9", UInt32(bitPattern: -2)),
            ("0 0 0 7, 36 0 0 6", 42), ("0 0 0 43, 52 0 0 6", 7), ("0 0 0 43, 148 0 0 6", 1),
            ("0 0 0 12, 84 0 0 10", 8), ("0 0 0 12, 68 0 0 3", 15), ("0 0 0 12, 164 0 0 10", 6),
            ("0 0 0 1, 100 0 0 31", 1 << 31), ("0 0 0 8, 116 0 0 2", 2),
            ("0 0 0 5, 132 0 0 0", UInt32(bitPattern: -5)), ("1 0 0 9, 135 0 0 0", 9),
            ("0 0 0 3, 7 0 0 0, 12 0 0 0", 6), ("0 0 0 4, 2 0 0 15, 0 0 0 0, 96 0 0 15", 4),
            ("0 0 0 9, 5 0 0 1, 0 0 0 1", 9), ("1 0 0 2, 80 0 0 1", 40),
        ] as [(String, UInt32)])
    func `instructions compute what the kernel's do`(text: String, value: UInt32) throws {
        let parts = text.split(separator: ",")
        let whole = "\(parts.count + 3), \(text), 21 0 1 \(value), 6 0 0 1, 6 0 0 0"
        #expect(try PacketFilterProgram(whole).accepts([10, 20, 30, 40], length: 4))
    }

    @Test func `a division by a register that is zero refuses the frame`() throws {
        #expect(
            !(try PacketFilterProgram("4, 0 0 0 5, 1 0 0 0, 60 0 0 0, 6 0 0 1").accepts(
                [], length: 0)))
    }

    @Test(arguments: [
        ("", "not a program"), ("tcp port 80", "not a program"), ("2, 6 0 0 0", "not a program"),
        ("1, 7 0 0 0", "not a return"), ("1, 999 0 0 0", "unknown code"),
        ("2, 5 0 0 1, 6 0 0 0", "beyond the end"), ("2, 21 1 0 0, 6 0 0 0", "beyond the end"),
        ("2, 21 0 1 0, 6 0 0 0", "beyond the end"), ("2, 52 0 0 0, 6 0 0 0", "divides by zero"),
        ("2, 96 0 0 16, 6 0 0 0", "scratch word"), ("1, 6 0 0 -1", "four numbers"),
        ("0", "not within"), ("-1", "not within"), ("4097", "not within"),
        // Four times as many are more than any number.
        ("4611686018427387904", "not within"), ("9223372036854775807", "not within"),
        ("-9223372036854775808", "not within"), ("9223372036854775808", "not a program"),
    ])
    func `a program that is none is refused with what is wrong`(text: String, problem: String) {
        let error = #expect(throws: PacketFilterProgram.Invalid.self) {
            try PacketFilterProgram(text)
        }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }
}
