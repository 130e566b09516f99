// SPDX-License-Identifier: Apache-2.0
import CXDP
import Glibc
import TestSupport
import Testing

@testable import XSKRing

@Suite struct XSKAttachTests {
    private static func attach(_ modes: [AttachMode] = [.native]) throws(XSKError)
        -> SteeringProgram
    {
        let facts = try InterfaceFacts(name: VethPair.nearName)
        return try SteeringProgram(interface: facts.name, index: facts.index, modes: modes)
    }

    @Test(arguments: [(AttachMode.native, " xdp "), (.generic, " xdpgeneric ")])
    func `the program is on the interface for as long as it is held`(
        mode: AttachMode, word: String
    ) async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                do {
                    let program = try Self.attach([mode])
                    #expect(program.mode == mode)
                    let link = try pair.near.run("ip", "link", "show", VethPair.nearName)
                    #expect(link.contains(word), "\(link)")
                    #expect(link.contains("xdplb_steer"), "\(link)")
                }
                let link = try pair.near.run("ip", "link", "show", VethPair.nearName)
                #expect(!link.contains(word) && !link.contains("prog/"), "\(link)")
            }
        }
    }

    @Test func `where the driver has XDP the first of two modes is taken`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let program = try Self.attach([.native, .generic])
                #expect(program.mode == .native)
            }
        }
    }

    @Test func `where the driver has no XDP the second mode is taken`() async throws {
        let namespace = try Namespace("loopback")
        defer { namespace.close() }
        try await namespace.perform {
            let facts = try InterfaceFacts(name: "lo")
            func attach(_ modes: [AttachMode]) throws(XSKError) -> AttachMode {
                try SteeringProgram(interface: "lo", index: facts.index, modes: modes).mode
            }
            #expect(try attach([.native, .generic]) == .generic)
            let error = #expect(throws: XSKError.self) { _ = try attach([.native]) }
            #expect(error?.errno == EOPNOTSUPP)
            #expect(error?.description.contains("Its driver has no XDP") == true)
        }
    }

    @Test(arguments: [AttachMode.native, .generic])
    func `a second program is refused, and says who holds the interface`(
        mode: AttachMode
    ) async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let first = try Self.attach()
                let error = #expect(throws: XSKError.self) { _ = try Self.attach([mode]) }
                let text = error?.description ?? ""
                #expect(error?.errno == (mode == .native ? EBUSY : EEXIST), "\(text)")
                #expect(text.hasPrefix("cannot attach to lb0: "), "\(text)")
                #expect(text.contains("'xdplb_steer'"), "\(text)")
                #expect(text.contains("held by process \(getpid()) ("), "\(text)")
                // The first one is as it was.
                #expect(first.verdictCounters().redirected == 0)
                let link = try pair.near.run("ip", "link", "show", VethPair.nearName)
                #expect(link.contains("xdplb_steer"), "\(link)")
            }
        }
    }

    @Test func `a program that no process holds is named with what takes it off`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let object = try BPFObject(EmbeddedBPF.steer)
                let program = object.program("xdplb_steer") ?? -1
                let index = try InterfaceFacts(name: VethPair.nearName).index
                #expect(bpf_xdp_attach(Int32(index), program, 0, nil) == 0)
                let error = #expect(throws: XSKError.self) { _ = try Self.attach() }
                let text = error?.description ?? ""
                #expect(text.contains("'xdplb_steer' is on lb0 already"), "\(text)")
                #expect(text.contains("'ip link set lb0 xdp off'"), "\(text)")
                try pair.near.run("ip", "link", "set", VethPair.nearName, "xdp", "off")
                _ = try Self.attach()
            }
        }
    }

    @Test func `an object that the kernel refuses is named with what libbpf said`() {
        let error = #expect(throws: XSKError.self) {
            _ = try BPFObject(EmbeddedBPF.steer, mapSizes: ["ports": 0])
        }
        let text = error?.description ?? ""
        #expect(error?.errno == EINVAL, "\(text)")
        #expect(text.hasPrefix("cannot load the BPF program 'steer': "), "\(text)")
        #expect(text.contains("map 'ports': failed to create"), "\(text)")
    }

    @Test func `facts are those of the interface in this namespace`() async throws {
        try await VethPair.with(queues: 2) { pair in
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                #expect(facts.driver == "veth")
                #expect(facts.mtu == 1500)
                #expect(facts.mac == VethPair.nearMAC)
                #expect(facts.rxQueueCount == 2)
                #expect(facts.numaNode == nil)
                try facts.checkChunks(of: 4096)
                try facts.checkQueuesUnchanged()
            }
        }
    }

    @Test func `an MTU that a chunk cannot hold is refused`() async throws {
        try await VethPair.with { pair in
            try pair.near.run("ip", "link", "set", VethPair.nearName, "mtu", "3819")
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                let error = #expect(throws: XSKError.self) { try facts.checkChunks(of: 4096) }
                #expect(error?.description.contains("mtu 3818") == true)
            }
            try pair.near.run("ip", "link", "set", VethPair.nearName, "mtu", "3818")
            try await pair.near.perform {
                try InterfaceFacts(name: VethPair.nearName).checkChunks(of: 4096)
            }
        }
    }

    @Test func `RX queues that a driver adds at attach are refused, with the remedy`() async throws
    {
        try await VethPair.with(queues: 2) { pair in
            try pair.near.run("ethtool", "-L", VethPair.nearName, "rx", "1", "tx", "1")
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                try facts.checkQueuesUnchanged()
                // A veth adds none by itself; a virtio NIC does.
                try pair.near.run("ethtool", "-L", VethPair.nearName, "rx", "2", "tx", "2")
                let error = #expect(throws: XSKError.self) { try facts.checkQueuesUnchanged() }
                let text = error?.description ?? ""
                #expect(text.contains("grew from 1 to 2 RX queues"), "\(text)")
                #expect(text.contains("ethtool -L lb0 combined"), "\(text)")
            }
        }
    }
}
