// SPDX-License-Identifier: Apache-2.0
import CXDP
import Glibc
import TestSupport
import Testing

@testable import XSKRing

/// The balancer's end of a veth pair with the steering program and one queue's socket.
@safe
struct XSKRig: ~Copyable {
    var program: SteeringProgram
    var queue: XSKQueue
    private let descriptors = UnsafeMutableBufferPointer<xdp_desc>.allocate(capacity: 64)

    /// Attaches, binds and steers; to be called in the balancer's namespace.
    init(
        options: XSKOptions = XSKRig.smallOptions, rules: SteeringRules = XSKSteeringTests.rules,
        mode: AttachMode = .native, accesses: [FrameAccess] = FrameAccess.allCases
    ) throws(XSKError) {
        let facts = try InterfaceFacts(name: VethPair.nearName)
        var program = try SteeringProgram(
            interface: facts.name, index: facts.index, modes: [mode], accesses: accesses)
        try program.change(to: rules)
        var options = options
        options.attachMode = program.mode
        let queue = try XSKQueue(
            interface: facts.name, queueID: 0, node: facts.numaNode, options: options)
        try program.setSocket(queue.fileDescriptor, queue: 0)
        self.program = program
        self.queue = queue
    }

    deinit { unsafe descriptors.deallocate() }

    /// Rings so small that they wrap often.
    static var smallOptions: XSKOptions {
        var options = XSKOptions()
        (options.rxRing, options.txRing) = (64, 64)
        (options.fillRing, options.completionRing) = (128, 64)
        options.chunkCount = 256
        return options
    }

    /// Waits for frames and takes up to 64 of them; none when none came within two seconds.
    mutating func receive() -> [xdp_desc] {
        var waiting = pollfd(fd: queue.fileDescriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&waiting, 1, 2000)
        let count = unsafe queue.receive(into: descriptors)
        return (0..<count).map { unsafe descriptors[$0] }
    }

    /// Hands frames over to be sent, and wakes the kernel.
    ///
    /// - Returns: Frames taken.
    mutating func transmit(_ frames: [xdp_desc]) -> Int {
        for (index, frame) in frames.enumerated() { unsafe (descriptors[index] = frame) }
        let count = unsafe queue.transmit(
            UnsafeMutableBufferPointer(rebasing: descriptors[..<frames.count]))
        queue.wakeToTransmit()
        return count
    }

    /// Waits until the kernel has given back the chunk of every frame that was sent.
    mutating func reclaimAll() -> Bool {
        for _ in 0..<2000 {
            queue.reclaim()
            if queue.chunks.transmitting == 0 { return true }
            queue.wakeToTransmit()
            // Until the other end has taken the frames.
            usleep(1000)
        }
        return false
    }

    /// The bytes of a frame.
    func bytes(_ frame: xdp_desc) -> [UInt8] {
        unsafe Array(queue.memory[Int(frame.addr)..<Int(frame.addr) + Int(frame.len)])
    }

    /// Writes a frame into a free chunk, behind the headroom that received ones have.
    mutating func make(_ bytes: [UInt8]) -> xdp_desc? {
        guard let chunk = queue.takeFreeChunk() else { return nil }
        let frame = xdp_desc(addr: chunk + 256, len: UInt32(bytes.count), options: 0)
        write(bytes, to: frame)
        return frame
    }

    /// Overwrites a frame.
    func write(_ bytes: [UInt8], to frame: xdp_desc) {
        unsafe queue.memory[Int(frame.addr)...].copyBytes(from: bytes)
    }
}
