// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Ctrl-C and SIGTERM for commands that run until somebody has seen enough.
enum Interrupt {
    private static let asked = Atomic<Bool>(false)

    /// Whether the command was asked to end.
    static var wasAsked: Bool { asked.load(ordering: .relaxed) }

    /// From now on the first signal asks the command to end; the second one ends it at once.
    ///
    /// System calls that wait are interrupted by it.
    static func watch() {
        // Made before a handler could be the first to use it.
        asked.store(false, ordering: .relaxed)
        var action = unsafe sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in
            Interrupt.asked.store(true, ordering: .relaxed)
        }
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
        for number in [SIGINT, SIGTERM] { _ = unsafe sigaction(number, &action, nil) }
    }
}
