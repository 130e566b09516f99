// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Workers

/// Captures are asked for by the address of their ring.
@Suite struct WorkerMailboxTests {
    @Test func `a capture that has ended does not take the next one's request back`() {
        let mailbox = WorkerMailbox()
        mailbox.requestCapture(at: 0x1000)
        #expect(mailbox.adoptCapture() == 0x1000)
        mailbox.withdrawCapture(at: 0x1000)
        #expect(mailbox.adoptCapture() == 0)
        mailbox.requestCapture(at: 0x2000)
        // The first one's guard comes late.
        mailbox.withdrawCapture(at: 0x1000)
        #expect(!mailbox.usesCapture(at: 0x1000))
        #expect(mailbox.captureAddress == 0x2000)
        #expect(mailbox.adoptCapture() == 0x2000)
    }

    @Test func `a ring is in use until the worker has left it, whatever was asked for since`() {
        let mailbox = WorkerMailbox()
        mailbox.requestCapture(at: 0x1000)
        _ = mailbox.adoptCapture()
        mailbox.withdrawCapture(at: 0x1000)
        mailbox.requestCapture(at: 0x2000)
        #expect(mailbox.usesCapture(at: 0x1000))
        _ = mailbox.adoptCapture()
        #expect(!mailbox.usesCapture(at: 0x1000))
        mailbox.leaveCapture()
        #expect(!mailbox.usesCapture(at: 0x2000))
    }
}
