// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import ServiceLifecycle
internal import UnixSignals

/// Applies the file again at every SIGHUP; whether that worked is in the log and in `status`.
struct ReloadSignal: Service {
    let reconciler: Reconciler

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() {
            _ = try? await reconciler.reload(
                by: "SIGHUP", confirm: nil, ifGeneration: nil, dryRun: false)
        }
    }
}
