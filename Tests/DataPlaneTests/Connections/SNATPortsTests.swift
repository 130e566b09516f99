// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// Sets over memory of their own.
private final class OwnedPorts {
    let memory: UnsafeMutableRawPointer
    let ports: SNATPorts

    init(_ count: Int) {
        let capacity = SNATPorts.Capacity(portSpaces: 2, addresses: 2, portsPerAddress: count)
        unsafe memory = .allocate(byteCount: capacity.byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: capacity.byteCount)
        ports = unsafe SNATPorts(
            in: UnsafeMutableRawBufferPointer(start: memory, count: capacity.byteCount),
            capacity: capacity)
    }

    deinit { unsafe memory.deallocate() }
}

@Suite struct SNATPortsTests {
    private static let key = SNATPorts.Key(portSpace: 1, address: 1, isUDP: false)

    @Test(arguments: [1, 2, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, 32256, 64512])
    func `every port is given once, and none is refused while one is free`(_ count: Int) {
        let owned = OwnedPorts(count)
        var seen: Set<Int> = []
        for _ in 0..<count {
            guard let port = owned.ports.take(Self.key, of: count, preferring: nil) else {
                Issue.record("refused after \(seen.count) of \(count)")
                return
            }
            #expect((0..<count).contains(port) && seen.insert(port).inserted)
        }
        #expect(owned.ports.take(Self.key, of: count, preferring: nil) == nil)
        #expect(owned.ports.take(Self.key, of: count, preferring: 0) == nil)
        #expect(owned.ports.usedCount(Self.key) == count)
        for port in [0, count / 2, count - 1] {
            owned.ports.free(Self.key, port)
            #expect(owned.ports.take(Self.key, of: count, preferring: nil) == port)
        }
    }

    @Test func `a preferred port is given when it is free, and another when it is not`() {
        let owned = OwnedPorts(1000)
        #expect(owned.ports.take(Self.key, of: 1000, preferring: 777) == 777)
        #expect(owned.ports.take(Self.key, of: 1000, preferring: 777) != 777)
    }

    @Test func `a port that was freed is not the next one given`() {
        let owned = OwnedPorts(100)
        let first = owned.ports.take(Self.key, of: 100, preferring: nil) ?? -1
        owned.ports.free(Self.key, first)
        #expect(owned.ports.take(Self.key, of: 100, preferring: nil) != first)
    }

    @Test func `sets of other backends, addresses and protocols are apart`() {
        let owned = OwnedPorts(1)
        for space in [0, 1] as [UInt16] {
            for address in [0, 1] as [UInt16] {
                for isUDP in [false, true] {
                    let key = SNATPorts.Key(portSpace: space, address: address, isUDP: isUDP)
                    #expect(owned.ports.take(key, of: 1, preferring: nil) == 0)
                }
            }
        }
        let beyond = SNATPorts.Key(portSpace: 2, address: 0, isUDP: false)
        #expect(owned.ports.take(beyond, of: 1, preferring: nil) == nil)
    }

    @Test(arguments: [70, 4100])
    func `random takes and frees agree with a set`(_ count: Int) {
        let owned = OwnedPorts(count)
        var generator = SeededGenerator(state: 5)
        var used: Set<Int> = []
        for _ in 0..<50_000 {
            if Bool.random(using: &generator) || used.isEmpty {
                let port = owned.ports.take(Self.key, of: count, preferring: nil)
                if used.count == count {
                    #expect(port == nil)
                } else {
                    #expect(port.map { used.insert($0).inserted } == true)
                }
            } else if let port = used.randomElement(using: &generator) {
                owned.ports.free(Self.key, port)
                used.remove(port)
            }
            #expect(owned.ports.usedCount(Self.key) == used.count)
        }
    }

    @Test func `freeing a port twice frees it once`() {
        let owned = OwnedPorts(10)
        _ = owned.ports.take(Self.key, of: 10, preferring: 3)
        owned.ports.free(Self.key, 3)
        owned.ports.free(Self.key, 3)
        #expect(owned.ports.usedCount(Self.key) == 0)
    }
}
