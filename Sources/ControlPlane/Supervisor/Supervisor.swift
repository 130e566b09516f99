// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Foundation

/// What started the daemon and watches over it: systemd, by the protocol of sd_notify(3).
///
/// Started by nobody who listens, all of it does nothing.
public struct Supervisor: Sendable {
    /// Longest status that is sent: `systemctl status` shows one line.
    private static let longestStatus = 500

    private let address: DatagramAddress?
    /// How often the supervisor wants a sign of life; `nil` when it asks for none.
    public let watchdogInterval: Duration?

    /// The supervisor that this process was started by.
    public init() {
        self.init(environment: ProcessInfo.processInfo.environment, processID: getpid())
    }

    /// The supervisor that an environment names.
    ///
    /// - Parameters:
    ///   - environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of it are read.
    ///   - processID: This process: a watchdog that is meant for another one is none.
    init(environment: [String: String], processID: Int32 = 0) {
        let address = environment["NOTIFY_SOCKET"].flatMap(DatagramAddress.init)
        let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(processID)" } ?? true
        let interval = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogInterval =
            address != nil && isMeant && interval > 0 ? .microseconds(interval) : nil
        self.address = address
    }

    /// Whether somebody listens.
    public var isListening: Bool { address != nil }

    /// Says that services are served.
    public func ready() { send("READY=1") }

    /// Says that the daemon is on its way out.
    public func stopping() { send("STOPPING=1\nSTATUS=stopping") }

    /// Says that every worker works.
    public func feedWatchdog() { send("WATCHDOG=1") }

    /// Says in a line how it goes, for `systemctl status`.
    ///
    /// - Parameter text: Line breaks become spaces, as one would end the assignment.
    public func status(_ text: String) { send("STATUS=\(Self.line(text))") }

    /// Says that a reload is under way; ``ready()`` says that it is over.
    func beginReload() {
        // The time stamp tells the supervisor which reload is meant; Type=notify-reload wants it.
        send("RELOADING=1\nMONOTONIC_USEC=\(cplatform_monotonic_microseconds())")
    }

    static func line(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > longestStatus ? line.prefix(longestStatus - 1) + "…" : line
    }

    private func send(_ text: String) { address?.send(Array(text.utf8)) }
}
