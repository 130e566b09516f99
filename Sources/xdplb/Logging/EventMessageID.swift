// SPDX-License-Identifier: Apache-2.0
import ControlPlane

/// The journal's `MESSAGE_ID` of each kind of event: `journalctl MESSAGE_ID=…` finds all of a kind.
///
/// Never changed or given to another kind, as people search for them.
enum EventMessageID {
    /// The identity of a kind.
    static func of(_ kind: EventKind) -> String {
        switch kind {
        // Life of the daemon.
        case .started: "84bcf1c6f98c4f558f997c757f65a3e9"
        case .stopping: "667e6ee5c67344e9b16965a0b58a2441"
        case .workerStuck: "10e2a793556d48429de1c1cb8ff9c834"
        // Changes.
        case .generationApplied: "c1b26caa2aef4ff89b08c9a2b521919a"
        case .publishFailed: "63f317eb3e4b49c4a29d847239485325"
        case .reloadRefused: "fa9fdcd8a2024d5a9aa67e0730261d46"
        case .confirmExpired: "3697d26822b74144961a24e5d2ed1b33"
        case .connectionsFlushed: "5665d2e7a94345cbbb8a896cd33e18c0"
        case .stateNotKept: "b0c8f0f2f2b14d7d9d6d0a6e3c3f7a51"
        // Services and backends.
        case .backendAdminState: "0d55addd78804880a15b43a169e6523a"
        case .backendHealth: "30fc60801fe74c0fac3d9547fbb4f552"
        case .probingFailed: "3a4b7c1f0d5e4f6d9a1c8e2b7f905d64"
        case .backendRemoved: "bc5ad1114eeb400abb8155a9d5212c68"
        case .serviceWithoutBackend: "54a33e3bf0bb4ca39240e95489b38252"
        case .serviceRecovered: "5a0d5951e5ff43ad96587ef3c1d95c6a"
        // Network and load.
        case .interfaceDown: "aca23f140778415e97ae8ccb958a61d0"
        case .interfaceUp: "a6d536e2f76d4424a7d85b06699431dc"
        case .netlink: "f69d7b4110a149c8a3d57e9bbde35f1d"
        case .nextHopFailed: "b6551eae87c84c34a30630aaf76a9163"
        case .ringLoss: "507f76c30e964badb91b52a454850833"
        case .tablePressure: "49bcd40f70d844268a9ff71d7e843641"
        case .captureStarted: "26c2a4d139f54efda9a36ca28705a55f"
        case .captureEnded: "bdf20ea1380d488795e6c639d3ae17a1"
        }
    }
}
