// SPDX-License-Identifier: Apache-2.0

/// What a classic BPF program works on: two registers, sixteen words, and the frame.
struct PacketFilterMachine {
    /// Where a program goes on.
    enum Step: Equatable {
        /// At the next instruction.
        case next
        /// So many instructions further on.
        case skip
        /// By what a condition says.
        case branch(Bool)
        /// Nowhere: it returns.
        case end(UInt32)
    }

    let frame: [UInt8]
    let length: UInt32
    private var a: UInt32 = 0
    private var x: UInt32 = 0
    private var scratch = [UInt32](repeating: 0, count: 16)

    init(frame: [UInt8], length: UInt32) {
        self.frame = frame
        self.length = length
    }

    /// Carries one instruction out.
    mutating func step(_ operation: PacketFilterProgram.Operation, _ k: UInt32) -> Step {
        switch operation {
        case .loadWord, .loadHalf, .loadByte, .loadWordAtX, .loadHalfAtX, .loadByteAtX,
            .loadXHeaderLength:
            return loadFromFrame(operation, k)
        case .loadLength: a = length
        case .loadConstant: a = k
        case .loadScratch: a = scratch[Int(k)]
        case .loadXConstant: x = k
        case .loadXLength: x = length
        case .loadXScratch: x = scratch[Int(k)]
        case .store: scratch[Int(k)] = a
        case .storeX: scratch[Int(k)] = x
        case .moveToX: x = a
        case .moveToA: a = x
        case .jump: return .skip
        case .jumpEqual: return .branch(a == k)
        case .jumpEqualX: return .branch(a == x)
        case .jumpGreater: return .branch(a > k)
        case .jumpGreaterX: return .branch(a > x)
        case .jumpNotLess: return .branch(a >= k)
        case .jumpNotLessX: return .branch(a >= x)
        case .jumpIfSet: return .branch(a & k != 0)
        case .jumpIfSetX: return .branch(a & x != 0)
        case .returnConstant: return .end(k)
        case .returnA: return .end(a)
        default: return calculate(operation, k)
        }
        return .next
    }

    private mutating func loadFromFrame(
        _ operation: PacketFilterProgram.Operation, _ k: UInt32
    ) -> Step {
        let isIndexed: Bool
        let count: Int
        switch operation {
        case .loadWord, .loadWordAtX: count = 4
        case .loadHalf, .loadHalfAtX: count = 2
        default: count = 1
        }
        switch operation {
        case .loadWordAtX, .loadHalfAtX, .loadByteAtX: isIndexed = true
        default: isIndexed = false
        }
        let place = Int(k) + (isIndexed ? Int(x) : 0)
        guard place + count <= frame.count else { return .end(0) }
        let value = frame[place..<place + count].reduce(0) { $0 << 8 | UInt32($1) }
        if operation == .loadXHeaderLength {
            x = (value & 15) * 4
        } else {
            a = value
        }
        return .next
    }

    private mutating func calculate(
        _ operation: PacketFilterProgram.Operation, _ k: UInt32
    ) -> Step {
        switch operation {
        case .add: a = a &+ k
        case .addX: a = a &+ x
        case .subtract: a = a &- k
        case .subtractX: a = a &- x
        case .multiply: a = a &* k
        case .multiplyX: a = a &* x
        case .divide: a /= k
        case .modulo: a %= k
        // The kernel's programs return 0 then as well.
        case .divideX, .moduloX:
            guard x != 0 else { return .end(0) }
            a = operation == .divideX ? a / x : a % x
        case .or: a |= k
        case .orX: a |= x
        case .and: a &= k
        case .andX: a &= x
        case .xor: a ^= k
        case .xorX: a ^= x
        case .shiftLeft: a <<= k
        case .shiftLeftX: a <<= x
        case .shiftRight: a >>= k
        case .shiftRightX: a >>= x
        case .negate: a = 0 &- a
        default: return .end(0)
        }
        return .next
    }
}
