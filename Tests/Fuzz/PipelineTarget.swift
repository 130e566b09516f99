// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport

/// Frames into the pipeline, with time and changes of the plan between them.
///
/// The input is a list of steps: a byte that says what it is, and what belongs to it. After each
/// step every chunk is accounted for, each frame moved exactly one counter, and what leaves is a
/// packet that fits the link.
enum PipelineTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        let harness = PipelineHarness(
            PlanFixture.mixedPlan(), connections: 256, chunks: 128)
        var rest = unsafe [UInt8](input)[...]
        while let step = rest.popFirst() {
            switch step {
            case 0xf0: harness.now &+= UInt32(rest.popFirst() ?? 0) * 1000
            case 0xf1: change(harness, rest.popFirst() ?? 0)
            default:
                let length = Int(rest.popFirst() ?? 0) << 8 | Int(rest.popFirst() ?? 0)
                var frame = Array(rest.prefix(min(length, 1800)))
                rest = rest.dropFirst(frame.count)
                repair(&frame, step)
                send(frame, to: harness)
            }
            _ = harness.maintain()
            require(harness.chunksHeld == harness.waitingCount, "chunks are lost")
        }
    }

    private static func send(_ frame: [UInt8], to harness: PipelineHarness) {
        _ = harness.steer(frame)
        let before = harness.countedOutcomes
        let outcome = harness.send(frame)
        let counted = harness.countedOutcomes &- before
        switch outcome.verdict {
        case .transmit:
            require(counted == 0, "a frame that was sent counts as dropped")
            check(outcome.frame)
        case .drop, .wait:
            require(counted == 1, "a frame that was not sent moved \(counted) counters")
        case .undecided, .handOff:
            fatalError("\(outcome.verdict) by a pipeline that is alone")
        }
    }

    /// What leaves is a whole IP packet, no longer than the link takes, with a right header.
    private static func check(_ frame: [UInt8]) {
        require((34...1514).contains(frame.count), "\(frame.count) bytes leave")
        require(Array(frame[6..<12]) == [2, 0, 0, 0, 0, 1], "a frame leaves from another address")
        let packet = frame[14...]
        if frame[12] == 8 {
            let length = Int(frame[16]) << 8 | Int(frame[17])
            require(length == packet.count, "IPv4 says \(length) bytes of \(packet.count)")
            let header = Array(packet.prefix(Int(frame[14] & 15) * 4))
            require(SlowChecksum.of(header) == 0, "the IPv4 header's checksum is wrong")
        } else {
            require(frame.count >= 54, "an IPv6 header is cut")
            let length = Int(frame[18]) << 8 | Int(frame[19])
            require(
                length + 40 == packet.count, "IPv6 says \(length) bytes of \(packet.count - 40)")
        }
    }

    /// Another plan: backends come, go and change families, policies are switched.
    private static func change(_ harness: PipelineHarness, _ what: UInt8) {
        harness.publish { plan in
            plan.backends[Int(what & 3)].admits =
                [.nothing, .trackedConnections, .newConnections, .unansweredConnections][
                    Int(what >> 2) % 4]
            plan.tracksFragments = what & 0x10 == 0
            plan.newPerSource = what & 0x20 == 0 ? nil : 2
            plan.services[0].onNoBackend = what & 0x40 == 0 ? .drop : .reject
            let members: [MaglevTable.Member] =
                what & 0x80 == 0
                ? [
                    .init(
                        endpoint: Endpoint(
                            address: plan.backends[Int(what & 1)].address, port: nil), weight: 1,
                        backend: UInt16(what & 1))
                ]
                : []
            plan.services[0].maglev = MaglevTable(members: members, size: 251, key: plan.hashKey)
        }
    }

    /// Puts right what random bytes hardly ever are: addresses and checksums, as the step says.
    private static func repair(_ frame: inout [UInt8], _ step: UInt8) {
        guard frame.count >= 34 else { return }
        if step & 1 == 0 { frame.replaceSubrange(0..<6, with: [2, 0, 0, 0, 0, 1]) }
        guard frame[12] == 8, frame[13] == 0, step & 2 == 0 else {
            return repairICMPv6(&frame, step)
        }
        let end = 14 + Int(frame[14] & 15) * 4
        guard end >= 34, end <= frame.count else { return }
        frame[24] = 0
        frame[25] = 0
        put(SlowChecksum.of(Array(frame[14..<end])), at: 24, in: &frame)
        guard frame[23] == 1, end + 8 <= frame.count else { return }
        let last = min(14 + Int(frame[16]) << 8 + Int(frame[17]), frame.count)
        guard last > end + 4 else { return }
        frame[end + 2] = 0
        frame[end + 3] = 0
        put(SlowChecksum.of(Array(frame[end..<last])), at: end + 2, in: &frame)
    }

    private static func repairICMPv6(_ frame: inout [UInt8], _ step: UInt8) {
        guard frame.count >= 62, frame[12] == 0x86, frame[13] == 0xdd, frame[14] >> 4 == 6,
            frame[20] == 58, step & 2 == 0
        else { return }
        frame[56] = 0
        frame[57] = 0
        let length = min(Int(frame[18]) << 8 | Int(frame[19]), frame.count - 54)
        frame[18] = UInt8(length >> 8)
        frame[19] = UInt8(length & 255)
        put(SlowChecksum.ofTransport(Array(frame[14...])), at: 56, in: &frame)
    }

    private static func put(_ value: UInt16, at offset: Int, in frame: inout [UInt8]) {
        frame[offset] = UInt8(value >> 8)
        frame[offset + 1] = UInt8(value & 255)
    }
}
