// SPDX-License-Identifier: Apache-2.0

/// The number that a network namespace has for another one (RTM_GETNSID).
enum NamespaceMessage {
    private static let identifier: UInt16 = 1
    private static let fileDescriptor: UInt16 = 3
    /// struct rtgenmsg, padded.
    private static let fixedByteCount = 4

    /// A request for the number of the namespace that is open as `descriptor`.
    static func get(_ descriptor: Int32, _ sequence: UInt32) -> MessageWriter {
        var message = MessageWriter(
            type: RouteMessageType.getNamespaceIdentifier, flags: 0, sequence: sequence,
            fixed: [UInt8](repeating: 0, count: fixedByteCount))
        var value: [UInt8] = []
        MessageWriter.append(descriptor, to: &value)
        message.add(fileDescriptor, value)
        return message
    }

    /// The number in an answer; `nil` when there is none.
    static func identifier(in payload: ArraySlice<UInt8>) -> Int? {
        let number = Attribute.all(in: payload.dropFirst(fixedByteCount))
            .first { $0.type == identifier }?.number(as: Int32.self)
        return number.flatMap { $0 >= 0 ? Int($0) : nil }
    }
}

extension NetlinkSocket {
    /// The number that this network namespace has for the one open as `descriptor`, such as
    /// /run/netns/NAME; `nil` when it has none.
    public mutating func namespaceIdentifier(
        of descriptor: Int32
    ) throws(NetlinkError) -> Int? {
        let answer = try request("cannot ask for the number of a network namespace") {
            NamespaceMessage.get(descriptor, $0)
        }
        return answer.first.flatMap { NamespaceMessage.identifier(in: $0.payload) }
    }
}
