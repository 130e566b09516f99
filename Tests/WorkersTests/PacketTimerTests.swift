// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import Workers

/// Which packets are timed, and where their times are counted.
@Suite struct PacketTimerTests {
    @Test(arguments: [1, 7, 64])
    func `one packet in 1024 is timed, however many are sent at once`(_ batch: Int) {
        var timer = PacketTimer()
        var timed = 0
        for _ in 0..<(1024 * 100 / batch) where timer.isDue(after: batch) { timed += 1 }
        #expect((99...100).contains(timed))
    }

    @Test func `nothing sent is nothing timed`() {
        var timer = PacketTimer()
        #expect((0..<5000).allSatisfy { _ in !timer.isDue(after: 0) })
    }

    @Test func `a time counts below the first bound that it is not over`() {
        #expect(PacketTimer.bucket(of: 0) == .timedUpTo1)
        #expect(PacketTimer.bucket(of: 1000) == .timedUpTo1)
        #expect(PacketTimer.bucket(of: 1001) == .timedUpTo2)
        #expect(PacketTimer.bucket(of: 1_000_000) == .timedUpTo1000)
        #expect(PacketTimer.bucket(of: 1_000_001) == .timedBeyond)
    }
}
