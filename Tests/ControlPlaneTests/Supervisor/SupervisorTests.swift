// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// What the supervisor is told, over a real socket.
@Suite struct SupervisorTests {
    /// A socket that datagrams are sent to.
    private final class Receiver {
        private let descriptor: Int32
        /// As `NOTIFY_SOCKET` has it.
        let name: String

        // By a name instead of a path when it is abstract.
        init(isAbstract: Bool) throws {
            let unique = "xdplb-test-\(UUID().uuidString)"
            name = isAbstract ? "@\(unique)" : "/tmp/\(unique)"
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
                unsafe bytes.copyBytes(from: name.utf8)
                if isAbstract { unsafe bytes[0] = 0 }
            }
            let length = socklen_t(2 + name.utf8.count + (isAbstract ? 0 : 1))
            let result = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe bind(descriptor, $0, length)
                }
            }
            try #require(result == 0)
        }

        deinit {
            close(descriptor)
            if name.hasPrefix("/") { unlink(name) }
        }

        /// The next datagram; `nil` when there is none.
        func next() -> String? {
            var bytes = [UInt8](repeating: 0, count: 65536)
            let count = unsafe recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    @Test(arguments: [false, true])
    func `it hears of the start, the status and the end`(isAbstract: Bool) throws {
        let receiver = try Receiver(isAbstract: isAbstract)
        let supervisor = Supervisor(environment: ["NOTIFY_SOCKET": receiver.name])
        #expect(supervisor.isListening)
        supervisor.ready()
        #expect(receiver.next() == "READY=1")
        supervisor.status("3 services, 1 degraded, 4.8 Mpps")
        #expect(receiver.next() == "STATUS=3 services, 1 degraded, 4.8 Mpps")
        supervisor.feedWatchdog()
        #expect(receiver.next() == "WATCHDOG=1")
        supervisor.stopping()
        #expect(receiver.next() == "STOPPING=1\nSTATUS=stopping")
        #expect(receiver.next() == nil)
    }

    @Test func `a reload is framed by its begin with the time, and its end`() throws {
        let receiver = try Receiver(isAbstract: false)
        let supervisor = Supervisor(environment: ["NOTIFY_SOCKET": receiver.name])
        supervisor.beginReload()
        supervisor.ready()
        let begin = try #require(receiver.next())
        let microseconds = begin.split(separator: "=").last.flatMap { Int($0) }
        #expect(begin.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        #expect((microseconds ?? 0) > 0)
        #expect(receiver.next() == "READY=1")
    }

    @Test func `a status of several lines stays one assignment, and is bounded`() throws {
        let receiver = try Receiver(isAbstract: false)
        let supervisor = Supervisor(environment: ["NOTIFY_SOCKET": receiver.name])
        supervisor.status("cannot start\nREADY=1\r\nwhy")
        #expect(receiver.next() == "STATUS=cannot start READY=1 why")
        #expect(Supervisor.line(String(repeating: "x", count: 10_000)).count == 500)
    }

    @Test func `without a supervisor, or with one that is gone, nothing happens`() {
        let none = Supervisor(environment: [:])
        #expect(!none.isListening)
        none.ready()
        Supervisor(environment: ["NOTIFY_SOCKET": "/nonexistent/notify"]).ready()
        #expect(!Supervisor(environment: ["NOTIFY_SOCKET": "relative"]).isListening)
        let long = "/" + String(repeating: "x", count: 200)
        #expect(!Supervisor(environment: ["NOTIFY_SOCKET": long]).isListening)
    }

    @Test func `the watchdog is fed when this process is the one that is meant`() {
        var environment = ["NOTIFY_SOCKET": "@xdplb", "WATCHDOG_USEC": "10000000"]
        func interval() -> Duration? {
            Supervisor(environment: environment, processID: 42).watchdogInterval
        }
        #expect(interval() == .seconds(10))
        environment["WATCHDOG_PID"] = "42"
        #expect(interval() == .seconds(10))
        environment["WATCHDOG_PID"] = "41"
        #expect(interval() == nil)
        environment["WATCHDOG_PID"] = nil
        for text in ["", "0", "-1", "soon"] {
            environment["WATCHDOG_USEC"] = text
            #expect(interval() == nil)
        }
    }
}
