// SPDX-License-Identifier: Apache-2.0
import CXDP
import Glibc
import TestSupport
import Testing

@testable import XSKRing

/// Sockets over a real veth pair.
@Suite struct XSKQueueTests {
    private static func farSocket(_ pair: VethPair) async throws -> PacketSocket {
        try await pair.far.perform { try PacketSocket(interface: VethPair.farName) }
    }

    /// The error of connecting by TCP; ETIMEDOUT or EINPROGRESS when nothing answers.
    private static func connect(_ address: String, _ port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = port.bigEndian
        _ = unsafe inet_pton(AF_INET, address, &target.sin_addr)
        let result = unsafe withUnsafePointer(to: target) { target in
            unsafe target.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                unsafe Glibc.connect(
                    descriptor, target, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result == 0 ? 0 : errno
    }

    @Test func `a frame to a service arrives whole, with headroom in front`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                for length in [18, 19, 1472] {
                    var frame = XSKFrame()
                    frame.payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
                    try far.send(frame.bytes)
                    let received = rig.receive()
                    #expect(received.count == 1)
                    for descriptor in received {
                        #expect(rig.bytes(descriptor) == frame.bytes)
                        #expect(descriptor.addr % 4096 >= 256)
                        rig.queue.recycle(address: descriptor.addr)
                    }
                }
                #expect(rig.program.verdictCounters().redirected == 3)
                #expect(rig.queue.chunks.received == 0)
                #expect(rig.queue.chunks.total == 256)
            }
        }
    }

    @Test func `a frame is sent back with more bytes in front of it`() async throws {
        try await VethPair.with { pair in
            // The receiving end of a veth drops what is over its own MTU.
            try pair.far.run("ip", "link", "set", VethPair.farName, "mtu", "1600")
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                var frame = XSKFrame()
                frame.payload = [UInt8](repeating: 7, count: 1472)
                try far.send(frame.bytes)
                let received = rig.receive()
                #expect(received.count == 1)
                for descriptor in received {
                    // 1534 bytes: AF_XDP does not enforce the MTU on transmit.
                    let longer = xdp_desc(
                        addr: descriptor.addr - 20, len: descriptor.len + 20, options: 0)
                    let sent =
                        VethPair.farMAC + VethPair.nearMAC + [0x88, 0xb5]
                        + frame.bytes
                        .prefix(6) + frame.bytes
                    rig.write(sent, to: longer)
                    let taken = rig.transmit([longer])
                    #expect(taken == 1)
                    let arrived = far.receive { $0.count == sent.count }
                    #expect(arrived == sent)
                }
                let isReclaimed = rig.reclaimAll()
                #expect(isReclaimed)
                #expect(rig.queue.chunks.received == 0)
                #expect(rig.queue.chunks.total == 256)
            }
        }
    }

    @Test func `thousands of frames keep their bytes, and no chunk is lost`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                var echoed = 0
                for burst in 0..<200 {
                    var expected: Set<[UInt8]> = []
                    for number in 0..<32 {
                        var frame = XSKFrame()
                        frame.sourcePort = UInt16(burst * 32 + number)
                        frame.payload = [UInt8](
                            repeating: UInt8(truncatingIfNeeded: burst ^ number), count: 64)
                        try far.send(frame.bytes)
                        expected.insert(frame.bytes)
                    }
                    while !expected.isEmpty {
                        let frames = rig.receive()
                        guard !frames.isEmpty else { break }
                        var kept: [xdp_desc] = []
                        for frame in frames {
                            if expected.remove(rig.bytes(frame)) == nil {
                                Issue.record("a frame came that was not sent, or came twice")
                            }
                            // Every other frame is dropped instead.
                            if frame.addr / 4096 % 2 == 0 {
                                kept.append(frame)
                            } else {
                                rig.queue.recycle(address: frame.addr)
                            }
                        }
                        let taken = rig.transmit(kept)
                        for frame in kept[taken...] { rig.queue.recycle(address: frame.addr) }
                        echoed += taken
                        rig.queue.reclaim()
                        rig.queue.refill()
                        #expect(rig.queue.chunks.received == 0)
                        #expect(rig.queue.chunks.total == 256)
                    }
                    #expect(expected.isEmpty, "burst \(burst) lost \(expected.count) frames")
                }
                #expect(echoed > 1000)
                let isReclaimed = rig.reclaimAll()
                #expect(isReclaimed)
                #expect(rig.queue.chunks.transmitting == 0)
                #expect(rig.queue.chunks.total == 256)
                #expect(XSKQueue.statistics(of: rig.queue.fileDescriptor).txInvalid == 0)
                #expect(XSKQueue.statistics(of: rig.queue.fileDescriptor).rxInvalid == 0)
            }
        }
    }

    @Test func `a full RX ring is counted, and traffic goes on after it`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                for _ in 0..<200 { try far.send(XSKFrame().bytes) }
                var count = 0
                while count < 64 {
                    let frames = rig.receive()
                    guard !frames.isEmpty else { break }
                    count += frames.count
                    for frame in frames { rig.queue.recycle(address: frame.addr) }
                }
                rig.queue.refill()
                let statistics = XSKQueue.statistics(of: rig.queue.fileDescriptor)
                #expect(
                    count + Int(statistics.rxRingFull + statistics.rxDropped) <= 200, "\(count)")
                #expect(statistics.rxRingFull > 0, "\(statistics)")
                #expect(rig.queue.chunks.total == 256)
                var last = XSKFrame()
                last.payload = [UInt8](repeating: 9, count: 99)
                try far.send(last.bytes)
                var seen = false
                while !seen {
                    let frames = rig.receive()
                    guard !frames.isEmpty else { break }
                    seen = frames.contains { rig.bytes($0) == last.bytes }
                    for frame in frames { rig.queue.recycle(address: frame.addr) }
                }
                #expect(seen)
            }
        }
    }

    @Test func `the kernel is woken once a batch and not when there is nothing to send`()
        async throws
    {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                var frames: [xdp_desc] = []
                for _ in 0..<64 {
                    if let frame = rig.make(XSKFrame().bytes) { frames.append(frame) }
                }
                #expect(frames.count == 64)
                let taken = rig.transmit(frames)
                #expect(taken == 64)
                // Once where one call may send 64 (6.17 and later), else 32 by 32.
                #expect((1...2).contains(rig.queue.transmitWakeups))
                let wakeups = rig.queue.transmitWakeups
                rig.queue.wakeToTransmit()
                #expect(rig.queue.transmitWakeups == wakeups)
                for _ in 0..<64 { #expect(far.receive { $0 == XSKFrame().bytes } != nil) }
                let isReclaimed = rig.reclaimAll()
                #expect(isReclaimed)
                rig.queue.wakeToTransmit()
                #expect(rig.queue.transmitWakeups == wakeups)
                rig.queue.wakeToFill()
                #expect(rig.queue.fillWakeups == 0)
            }
        }
    }

    @Test func `a frame without a socket behind its queue reaches the kernel`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                let rig = try XSKRig()
                rig.program.clearSocket(queue: 0)
                let near = try PacketSocket(interface: VethPair.nearName)
                try far.send(XSKFrame().bytes)
                #expect(near.receive { $0 == XSKFrame().bytes } != nil)
                #expect(rig.program.verdictCounters().withoutSocket == 1)
                #expect(rig.program.verdictCounters().redirected == 0)
            }
        }
    }

    @Test func `what is nobody's service reaches the kernel`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                // The kernel answers for a port that nobody listens at.
                let answer = await pair.far.perform { Self.connect(VethPair.nearAddress, 22) }
                #expect(answer == ECONNREFUSED)
                let near = try PacketSocket(interface: VethPair.nearName)
                var ssh = XSKFrame()
                (ssh.transport, ssh.destinationPort) = (6, 22)
                try far.send(ssh.bytes)
                #expect(near.receive { $0 == ssh.bytes } != nil)
                #expect(rig.program.verdictCounters().redirected == 0)
                try far.send(XSKFrame().bytes)
                let frames = rig.receive()
                #expect(frames.count == 1)
            }
        }
    }

    @Test func `a SNAT reply arrives only from a backend`() async throws {
        try await VethPair.with { pair in
            let far = try await Self.farSocket(pair)
            try await pair.near.perform {
                var rig = try XSKRig()
                let near = try PacketSocket(interface: VethPair.nearName)
                let reply = XSKSteeringTests.Case.reply("", ours: true).frame
                var stranger = reply
                stranger.source = VethPair.farMAC.suffix(4)
                try far.send(stranger.bytes)
                #expect(near.receive { $0 == stranger.bytes } != nil)
                try far.send(reply.bytes)
                let frames = rig.receive()
                #expect(frames.map { rig.bytes($0) } == [reply.bytes])
            }
        }
    }
}
