// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Glibc
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct ProbeTimersTests {
    private let now = ContinuousClock.now

    private func drained(_ timers: inout ProbeTimers<Int>) -> [Int] {
        var bodies: [Int] = []
        while let body = timers.takeDue(by: now + .seconds(3600)) { bodies.append(body) }
        return bodies
    }

    @Test func `what is due first is taken first, in whatever order it was added`() {
        for seed in 1...20 {
            var timers = ProbeTimers<Int>()
            var random = seed
            var order = Array(0..<100)
            for index in order.indices.reversed() {
                random = (random * 1_103_515_245 + 12345) % 2_147_483_648
                order.swapAt(index, random % (index + 1))
            }
            for number in order { timers.add(at: now + .milliseconds(number), number) }
            #expect(timers.next == now)
            #expect(drained(&timers) == Array(0..<100))
            #expect(timers.next == nil)
        }
    }

    @Test func `of equal times the one added first is taken first`() {
        var timers = ProbeTimers<Int>()
        for number in 0..<50 { timers.add(at: now + .seconds(number % 2), number) }
        let even = stride(from: 0, to: 50, by: 2)
        #expect(drained(&timers) == Array(even) + even.map { $0 + 1 })
    }

    @Test func `nothing is taken before its time`() {
        var timers = ProbeTimers<Int>()
        timers.add(at: now + .milliseconds(2), 2)
        timers.add(at: now + .milliseconds(1), 1)
        #expect(timers.takeDue(by: now) == nil)
        #expect(timers.takeDue(by: now + .milliseconds(1)) == 1)
        #expect(timers.takeDue(by: now + .milliseconds(1)) == nil)
        #expect(timers.takeDue(by: now + .milliseconds(2)) == 2)
    }
}

@Suite struct ProbeLoopTests {
    @Test func `a timer that is added by one that is called waits for its own time`() throws {
        let loop = try ProbeLoop()
        var called: [String] = []
        loop.after(.milliseconds(1)) {
            called.append("first")
            loop.after(.zero) { called.append("third") }
        }
        loop.after(.milliseconds(1)) { called.append("second") }
        loop.run { called.count == 3 }
        #expect(called == ["first", "second", "third"])
    }

    /// Every datagram that is judged draws the next one: there always is one to be read.
    @Test func `a flood of datagrams does not keep a probe from its timeout`() throws {
        let loop = try ProbeLoop()
        let local = PlanFixture.address("127.0.0.1")
        let server = try ProbeSocket(.ipv4, SOCK_DGRAM)
        try server.bind(local)
        var judged = 0
        var outcome: ProbeOutcome?
        let exchange = DatagramAttempt.Exchange(
            type: SOCK_DGRAM, port: server.localPort, question: [1]
        ) { _ in
            judged += 1
            try? server.send([2])
            return nil
        }
        let attempt = DatagramAttempt(loop, to: local, exchange, timeout: .milliseconds(50)) {
            outcome = $0
        }
        attempt.start()
        try server.connect(local, port: Self.sender(to: server))
        try server.send([2])
        loop.run { outcome != nil }
        #expect(outcome?.result == .timeout)
        #expect(judged > 0)
    }

    /// The port that the datagram came from which waits at a socket.
    private static func sender(to socket: ProbeSocket) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var byte: UInt8 = 0
        _ = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe recvfrom(socket.descriptor, &byte, 1, 0, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
