// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
public import DataPlane
internal import Glibc

/// A TCP connection to an address, closed as soon as it is established.
public enum ConnectAttempt {
    /// Connects; blocks the calling thread until it is known what came of it.
    ///
    /// - Parameters:
    ///   - address: The address.
    ///   - port: The port.
    ///   - timeout: How long to wait for the answer.
    /// - Returns: What came of it; `timeout` when nobody answered.
    public static func connect(
        to address: IPAddress, port: UInt16, timeout: Duration
    ) -> AttemptOutcome {
        let began = ContinuousClock.now
        let bytes = address.bytes
        do throws(AttemptErrno) {
            let socket = try AttemptSocket(
                unsafe cplatform_probe_connect(bytes, Int32(bytes.count), port))
            let deadline = AttemptDeadline(after: timeout)
            var waiting = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
            while unsafe poll(&waiting, 1, deadline.milliseconds()) <= 0 {
                if deadline.isOver { return .timeout }
            }
            switch socket.pendingError {
            case 0: return .answered(in: .now - began)
            case ECONNREFUSED: return .refused
            case ETIMEDOUT: return .timeout
            case let error: return .error(error)
            }
        } catch {
            return .error(error.value)
        }
    }
}
