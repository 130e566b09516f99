// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation
internal import ServiceLifecycle

/// Ends removed backends when their time is over.
struct RetirementService: Service {
    let reconciler: Reconciler

    func run() async throws {
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            await reconciler.endRetired(at: .now)
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
        }
    }
}
