// SPDX-License-Identifier: Apache-2.0
import CXDP
import Glibc
import TestSupport
import Testing

@testable import XSKRing

/// How a socket is bound, and how a refusal is explained.
@Suite struct XSKBindTests {
    private static func bind(
        queue: Int = 0, _ change: (inout XSKOptions) -> Void = { _ in }
    ) throws(XSKError) -> XSKQueue {
        var options = XSKRig.smallOptions
        change(&options)
        return try XSKQueue(
            interface: VethPair.nearName, queueID: queue, node: nil, options: options)
    }

    @Test(arguments: [XSKOptions.BindMode.automatic, .copy])
    func `a veth is bound in copy mode, and says so`(mode: XSKOptions.BindMode) async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let queue = try Self.bind { $0.bindMode = mode }
                #expect(queue.isZeroCopy == false)
                #expect(queue.chunks == ChunkCounts(fill: 128, free: 128))
                #expect(unsafe queue.memory.count >= 256 * 4096)
            }
        }
    }

    @Test func `busy polling is turned on as asked, and off otherwise`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                func value(_ option: Int32, of queue: borrowing XSKQueue) -> Int32 {
                    var value: Int32 = -1
                    var length = socklen_t(4)
                    _ = unsafe getsockopt(
                        queue.fileDescriptor, SOL_SOCKET, option, &value, &length)
                    return value
                }
                do {
                    let queue = try Self.bind { $0.busyPollBudget = 32 }
                    #expect(value(SO_PREFER_BUSY_POLL, of: queue) == 1)
                    #expect(value(SO_BUSY_POLL, of: queue) > 0)
                }
                let queue = try Self.bind()
                #expect(value(SO_PREFER_BUSY_POLL, of: queue) == 0)
            }
        }
    }

    @Test func `zero-copy on a veth is refused with what to do instead`() async throws {
        try await VethPair.with { pair in
            await pair.near.perform {
                let error = #expect(throws: XSKError.self) {
                    _ = try Self.bind { $0.bindMode = .zerocopy }
                }
                let text = error?.description ?? ""
                #expect(error?.errno == EOPNOTSUPP, "\(text)")
                #expect(
                    text.hasPrefix("cannot bind an AF_XDP socket to lb0 queue 0 (zerocopy): "),
                    "\(text)")
                #expect(text.contains("Its driver veth has no zero-copy"), "\(text)")
                #expect(text.contains("'bind_mode: auto'"), "\(text)")
            }
        }
    }

    @Test func `zero-copy behind a generic program is refused before the kernel is asked`()
        async throws
    {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let error = #expect(throws: XSKError.self) {
                    _ = try Self.bind { ($0.bindMode, $0.attachMode) = (.zerocopy, .generic) }
                }
                #expect(error?.errno == 0)
                #expect(error?.description.contains("generic mode") == true)
                let queue = try Self.bind { $0.attachMode = .generic }
                #expect(queue.isZeroCopy == false)
            }
        }
    }

    @Test func `a queue the interface lacks is refused with how many it has`() async throws {
        try await VethPair.with(queues: 2) { pair in
            try await pair.near.perform {
                _ = try Self.bind(queue: 1)
                let error = #expect(throws: XSKError.self) { _ = try Self.bind(queue: 2) }
                let text = error?.description ?? ""
                #expect(error?.errno == EINVAL, "\(text)")
                #expect(text.contains("lb0 queue 2"), "\(text)")
                #expect(text.contains("It has 2 RX queues"), "\(text)")
            }
        }
    }

    @Test func `a queue that is taken is refused, and the one who has it is not disturbed`()
        async throws
    {
        try await VethPair.with { pair in
            let far = try await pair.far.perform {
                try PacketSocket(interface: VethPair.farName)
            }
            try await pair.near.perform {
                var rig = try XSKRig()
                let error = #expect(throws: XSKError.self) { _ = try Self.bind() }
                #expect(error?.errno == EBUSY)
                #expect(error?.description.contains("Another process holds this queue") == true)
                try far.send(XSKFrame().bytes)
                let frames = rig.receive()
                #expect(frames.count == 1)
            }
        }
    }

    @Test func `an interface that does not exist is refused`() async throws {
        try await VethPair.with { pair in
            await pair.near.perform {
                let error = #expect(throws: XSKError.self) {
                    _ = try XSKQueue(
                        interface: "nowhere", queueID: 0, node: nil, options: XSKRig.smallOptions)
                }
                #expect(error?.description.contains("nowhere queue 0") == true)
            }
        }
    }

    @Test func `a queue can be bound again as soon as it was given up, and receives`()
        async throws
    {
        try await VethPair.with { pair in
            let far = try await pair.far.perform {
                try PacketSocket(interface: VethPair.farName)
            }
            try await pair.near.perform {
                for round in 0..<20 {
                    var rig = try XSKRig()
                    var frame = XSKFrame()
                    frame.sourcePort = UInt16(round)
                    try far.send(frame.bytes)
                    let frames = rig.receive()
                    #expect(frames.map { rig.bytes($0) } == [frame.bytes], "round \(round)")
                }
            }
        }
    }

    @Test func `sizes that cannot be are refused by name`() async throws {
        try await VethPair.with { pair in
            await pair.near.perform {
                let error = #expect(throws: XSKError.self) {
                    _ = try Self.bind { $0.rxRing = 1000 }
                }
                #expect(error?.description.contains("RX ring has 1000 descriptors") == true)
            }
        }
    }
}
