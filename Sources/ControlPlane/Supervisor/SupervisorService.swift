// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
public import ServiceLifecycle

/// Tells the supervisor how it goes, feeds its watchdog, and says goodbye.
///
/// That the daemon is ready is said by whoever knows it; see ``AdminService``.
public struct SupervisorService: Service {
    /// Between two looks at what the status says.
    private static let statusPeriod = Duration.seconds(3)

    private let supervisor: Supervisor
    private let control: any ControlPlaneService
    private let dataPlane: any DataPlaneHandle

    /// A service of a running data path.
    public init(
        _ supervisor: Supervisor, control: any ControlPlaneService,
        dataPlane: any DataPlaneHandle
    ) {
        self.supervisor = supervisor
        self.control = control
        self.dataPlane = dataPlane
    }

    /// Runs until the daemon stops.
    public func run() async throws {
        guard supervisor.isListening else { return try await gracefulShutdown() }
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                // Apart: a long computation of the control plane must not starve the watchdog.
                group.addTask { await showStatus() }
                if let interval = supervisor.watchdogInterval {
                    group.addTask { await feedWatchdog(every: interval) }
                }
            }
        } onGracefulShutdown: {
            supervisor.stopping()
        }
    }

    private func showStatus() async {
        var line = StatusLine()
        var shown = ""
        while !isStopping {
            let services = await control.view().services
            let received = CounterSums(dataPlane.counterPages)[.receivedPackets]
            let text = line.text(services, received: received, at: .now)
            if text != shown, !isStopping { supervisor.status(text) }
            shown = text
            await pause(Self.statusPeriod)
        }
    }

    private func feedWatchdog(every interval: Duration) async {
        var feeder = WatchdogFeeder(interval: interval, rounds: rounds, at: .now)
        while !isStopping {
            await pause(feeder.glance)
            if feeder.isDue(rounds, at: .now) { supervisor.feedWatchdog() }
        }
    }

    /// Rounds that each worker has done so far.
    private var rounds: [UInt64] { dataPlane.counterPages.map { $0[.rounds] } }

    private var isStopping: Bool { Task.isCancelled || Task.isShuttingDownGracefully }

    private func pause(_ duration: Duration) async {
        try? await cancelWhenGracefulShutdown { try await Task.sleep(for: duration) }
    }
}
