// SPDX-License-Identifier: Apache-2.0

/// A table whose element count is a power of two, so that a mask keeps every index inside it.
///
/// Does not own its memory.
@safe
struct PowerOfTwoTable<Element: BitwiseCopyable>: @unchecked Sendable {
    private let base: UnsafeMutablePointer<Element>
    private let mask: Int

    /// - Precondition: `count` is a power of two.
    init(_ base: UnsafeMutablePointer<Element>, count: Int) {
        precondition(count > 0 && count & (count - 1) == 0)
        unsafe self.base = base
        mask = count - 1
    }

    var count: Int { mask + 1 }

    /// The element at `index` modulo `count`.
    @inline(__always)
    subscript(index: Int) -> Element {
        unsafeAddress { unsafe UnsafePointer(base + (index & mask)) }
        nonmutating unsafeMutableAddress { unsafe base + (index & mask) }
    }

    /// Where the element at `index` modulo `count` lies.
    @inline(__always)
    func address(of index: Int) -> UnsafePointer<Element> {
        unsafe UnsafePointer(base + (index & mask))
    }

    @inline(__always)
    func prefetch(_ index: Int) { unsafe DataPlane.prefetch(base + (index & mask)) }
}

/// A table of any size whose index is checked: one predictable compare.
///
/// Does not own its memory.
@safe
struct FixedTable<Element: BitwiseCopyable>: @unchecked Sendable {
    private let base: UnsafeMutablePointer<Element>
    let count: Int

    init(_ base: UnsafeMutablePointer<Element>, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// The element at `index`.
    ///
    /// - Precondition: `0 <= index < count`.
    @inline(__always)
    subscript(index: Int) -> Element {
        unsafeAddress { unsafe address(of: index) }
        nonmutating unsafeMutableAddress { unsafe mutableAddress(of: index) }
    }

    /// Where the element at `index` lies, for accessors of types built on this one.
    ///
    /// - Precondition: `0 <= index < count`.
    @inline(__always)
    func mutableAddress(of index: Int) -> UnsafeMutablePointer<Element> {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
        return unsafe base + index
    }

    /// ``mutableAddress(of:)`` for an index that is in range by construction.
    @inline(__always)
    func mutableAddress(ofValid index: Int) -> UnsafeMutablePointer<Element> {
        assert(UInt(bitPattern: index) < UInt(bitPattern: count))
        return unsafe base + index
    }

    /// ``mutableAddress(of:)``, for reading.
    @inline(__always)
    func address(of index: Int) -> UnsafePointer<Element> {
        unsafe UnsafePointer(mutableAddress(of: index))
    }

    @inline(__always)
    func prefetch(_ index: Int) { unsafe DataPlane.prefetch(base + index) }
}

/// Owner of one allocation of plain elements.
@safe
struct OwnedTable<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    private let base: UnsafeMutablePointer<Element>
    let table: FixedTable<Element>

    init(repeating element: Element, count: Int) {
        unsafe base = .allocate(capacity: max(count, 1))
        unsafe base.initialize(repeating: element, count: max(count, 1))
        table = unsafe FixedTable(base, count: count)
    }

    init(_ elements: [Element], or empty: Element) {
        self.init(repeating: empty, count: elements.count)
        for (index, element) in elements.enumerated() { table[index] = element }
    }

    /// The same memory with masked indices.
    ///
    /// - Precondition: the count is a power of two.
    var masked: PowerOfTwoTable<Element> { unsafe PowerOfTwoTable(base, count: table.count) }

    deinit { unsafe base.deallocate() }
}

/// The least power of two that is at least `count` and `floor`.
func powerOfTwo(atLeast count: Int, floor: Int = 1) -> Int {
    var size = floor
    while size < count { size <<= 1 }
    return size
}
