// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation
internal import ServiceLifecycle

/// Ends removed backends when their time is over, and gives back what nothing refers to any more.
struct RetirementService: Service {
    let reconciler: Reconciler
    /// How often SNAT addresses are looked at, which has the workers walk over their connections.
    private static let releasePeriod = Duration.seconds(5)

    func run() async throws {
        var nextRelease = ContinuousClock.now + Self.releasePeriod
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            await reconciler.endRetired(at: .now)
            if ContinuousClock.now >= nextRelease {
                await reconciler.releaseSNATAddresses()
                nextRelease = .now + Self.releasePeriod
            }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
        }
    }
}
