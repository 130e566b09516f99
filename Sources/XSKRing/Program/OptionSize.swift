// SPDX-License-Identifier: Apache-2.0

/// Bytes of one of libbpf's option structs up to the end of its last member.
///
/// libbpf refuses a struct of which anything behind that is not zero, and the padding of a Swift
/// value need not be.
func optionSize<Options, Member>(through last: KeyPath<Options, Member>) -> Int {
    (MemoryLayout<Options>.offset(of: last) ?? 0) + MemoryLayout<Member>.size
}
