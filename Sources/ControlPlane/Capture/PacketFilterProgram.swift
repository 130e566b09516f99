// SPDX-License-Identifier: Apache-2.0

/// A classic BPF program (McCanne and Jacobson, 1993), as `tcpdump -ddd` prints it, that says of a
/// frame whether it is meant.
///
/// Checked once, like the kernel does: every instruction is known, every jump goes forward and stays
/// inside, and the end is a return. So it ends after at most as many steps as it has instructions.
struct PacketFilterProgram: Equatable, Sendable {
    /// An instruction: what to do, where to go on if a condition holds and if not, and an operand.
    struct Instruction: Equatable, Sendable {
        var code: UInt16
        var ifTrue: UInt8
        var ifFalse: UInt8
        var operand: UInt32
    }

    /// Why a program is refused.
    struct Invalid: Error, CustomStringConvertible {
        let description: String
    }

    /// Most instructions, as in the kernel (BPF_MAXINSNS).
    static let capacity = 4096
    private static let scratchCount = 16

    private let instructions: [Instruction]

    /// Reads the number of instructions and then `CODE IF-TRUE IF-FALSE OPERAND` for each.
    ///
    /// - Throws: ``Invalid`` with what is wrong and in which instruction.
    init(_ text: String) throws(Invalid) {
        let words = text.split { $0.isWhitespace || $0 == "," }
        guard let first = words.first, let count = Int(first) else { throw Self.malformed }
        // Before anything is computed from it: it may be any number.
        guard (1...Self.capacity).contains(count) else {
            throw Invalid(
                description: "\(count) instructions are not within 1...\(Self.capacity)")
        }
        guard words.count == 1 + 4 * count else { throw Self.malformed }
        var instructions: [Instruction] = []
        for index in 0..<count {
            let parts = words[(1 + 4 * index)..<(5 + 4 * index)].map(String.init)
            guard let code = UInt16(parts[0]), let ifTrue = UInt8(parts[1]),
                let ifFalse = UInt8(parts[2]), let operand = UInt32(parts[3])
            else { throw Self.invalid(index, "is not made of four numbers") }
            instructions.append(
                Instruction(code: code, ifTrue: ifTrue, ifFalse: ifFalse, operand: operand))
        }
        try Self.check(instructions)
        self.instructions = instructions
    }

    private static let malformed = Invalid(
        description: """
            this is not a program as 'tcpdump -ddd' prints it: a count, and four numbers for each \
            instruction
            """)

    private static func invalid(_ index: Int, _ problem: String) -> Invalid {
        Invalid(description: "instruction \(index) \(problem)")
    }

    private static func check(_ instructions: [Instruction]) throws(Invalid) {
        for (index, instruction) in instructions.enumerated() {
            let left = instructions.count - index - 1
            guard let operation = Operation(rawValue: instruction.code) else {
                throw invalid(index, "has the unknown code \(instruction.code)")
            }
            switch operation {
            case .jump where instruction.operand >= left:
                throw invalid(index, "jumps beyond the end")
            case .jumpEqual, .jumpGreater, .jumpNotLess, .jumpIfSet, .jumpEqualX, .jumpGreaterX,
                .jumpNotLessX, .jumpIfSetX:
                guard Int(instruction.ifTrue) < left, Int(instruction.ifFalse) < left else {
                    throw invalid(index, "jumps beyond the end")
                }
            case .divide where instruction.operand == 0, .modulo where instruction.operand == 0:
                throw invalid(index, "divides by zero")
            case .loadScratch where instruction.operand >= scratchCount,
                .loadXScratch where instruction.operand >= scratchCount,
                .store where instruction.operand >= scratchCount,
                .storeX where instruction.operand >= scratchCount:
                throw invalid(index, "names a scratch word beyond \(scratchCount - 1)")
            default: break
            }
        }
        let last = instructions.last.flatMap { Operation(rawValue: $0.code) }
        guard last == .returnConstant || last == .returnA else {
            throw invalid(instructions.count - 1, "is the last one, and not a return")
        }
    }

    /// Whether a frame is meant: the program returns anything but 0.
    ///
    /// One that reads beyond the frame returns 0.
    ///
    /// - Parameters:
    ///   - frame: The bytes that were captured.
    ///   - length: Bytes of the whole frame, what the program is told as its length.
    /// - Returns: Whether it is.
    func accepts(_ frame: [UInt8], length: UInt32) -> Bool {
        var machine = PacketFilterMachine(frame: frame, length: length)
        var index = 0
        while let operation = Operation(rawValue: instructions[index].code) {
            let instruction = instructions[index]
            switch machine.step(operation, instruction.operand) {
            case .next: index += 1
            case .skip: index += 1 + Int(instruction.operand)
            case .branch(let holds):
                index += 1 + Int(holds ? instruction.ifTrue : instruction.ifFalse)
            case .end(let value): return value != 0
            }
        }
        return false
    }

    /// The instructions of classic BPF by their codes (linux/bpf_common.h, linux/filter.h).
    enum Operation: UInt16 {
        case loadWord = 0x20
        case loadHalf = 0x28
        case loadByte = 0x30
        case loadWordAtX = 0x40
        case loadHalfAtX = 0x48
        case loadByteAtX = 0x50
        case loadLength = 0x80
        case loadConstant = 0x00
        case loadScratch = 0x60
        case loadXConstant = 0x01
        case loadXLength = 0x81
        case loadXScratch = 0x61
        /// Four times the lower half of a byte: the length of an IPv4 header.
        case loadXHeaderLength = 0xb1
        case store = 0x02
        case storeX = 0x03
        case add = 0x04
        case addX = 0x0c
        case subtract = 0x14
        case subtractX = 0x1c
        case multiply = 0x24
        case multiplyX = 0x2c
        case divide = 0x34
        case divideX = 0x3c
        case or = 0x44
        case orX = 0x4c
        case and = 0x54
        case andX = 0x5c
        case shiftLeft = 0x64
        case shiftLeftX = 0x6c
        case shiftRight = 0x74
        case shiftRightX = 0x7c
        case negate = 0x84
        case modulo = 0x94
        case moduloX = 0x9c
        case xor = 0xa4
        case xorX = 0xac
        case jump = 0x05
        case jumpEqual = 0x15
        case jumpEqualX = 0x1d
        case jumpGreater = 0x25
        case jumpGreaterX = 0x2d
        case jumpNotLess = 0x35
        case jumpNotLessX = 0x3d
        case jumpIfSet = 0x45
        case jumpIfSetX = 0x4d
        case returnConstant = 0x06
        case returnA = 0x16
        case moveToX = 0x07
        case moveToA = 0x87
    }
}
