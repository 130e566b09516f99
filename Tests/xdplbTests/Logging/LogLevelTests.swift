// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Logging
import Testing

@testable import xdplb

/// What a reload changes about the log.
@Suite struct LogLevelTests {
    @Test func `a new level counts for loggers that were handed out before`() {
        let log = Logging(.logfmt, .warning)
        let early = log.logger
        var own = log.logger
        own.logLevel = .error
        #expect(early.logLevel == .warning)
        log.setLevel(.debug)
        #expect(early.logLevel == .debug && own.logLevel == .error)
    }
}
