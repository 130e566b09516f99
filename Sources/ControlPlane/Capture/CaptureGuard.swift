// SPDX-License-Identifier: Apache-2.0

/// Sees to it that a capture ends although its reader takes nothing any more.
///
/// The capture itself waits for the reader then. The workers stop copying when the time is over,
/// and when somebody waits for the end, a daemon that stops or another user, the reader is given a
/// few seconds for what there is.
struct CaptureGuard: Sendable {
    let source: any CaptureSource
    let place: CapturePlace
    let seconds: Double
    let isStopping: @Sendable () -> Bool
    /// Ends the connection to the reader.
    let hangUp: @Sendable () async -> Void

    private static let glance = Duration.milliseconds(100)
    private static let grace = Duration.seconds(5)

    private var somebodyWaits: Bool { place.isEnded || isStopping() }

    /// Watches until the capture has ended by itself, and this task is cancelled.
    func watch() async {
        let deadline = ContinuousClock.now + .seconds(seconds)
        do {
            while !somebodyWaits, ContinuousClock.now < deadline {
                try await Task.sleep(for: Self.glance)
            }
            await source.stop()
            while !somebodyWaits { try await Task.sleep(for: Self.glance) }
            try await Task.sleep(for: Self.grace)
        } catch {
            return
        }
        await hangUp()
    }
}
