// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// Owner of what lies between workers: a doorbell each, and a ring for each pair.
@safe
final class WorkerMesh: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    private let eventDescriptors: [Int32]
    private let shape: Shape

    fileprivate struct Shape {
        var workers: Int
        var ringCapacity: Int
        var slotByteCount: Int

        var ringByteCount: Int {
            HandoffRing.byteCount(capacity: ringCapacity, slotByteCount: slotByteCount)
        }
        /// One worker has nobody to hand frames to.
        var ringCount: Int { workers > 1 ? workers * workers : 0 }
        var byteCount: Int {
            workers * WorkerDoorbell.byteCount + ringCount * ringByteCount
        }
    }

    /// A mesh without frames; `nil` when the kernel gives no eventfd.
    init?(workers: Int, ringCapacity: Int, slotByteCount: Int) {
        shape = Shape(workers: workers, ringCapacity: ringCapacity, slotByteCount: slotByteCount)
        unsafe memory = .allocate(byteCount: shape.byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: shape.byteCount)
        eventDescriptors = (0..<workers).map { _ in cplatform_eventfd() }
        guard eventDescriptors.allSatisfy({ $0 >= 0 }) else { return nil }
    }

    deinit {
        for descriptor in eventDescriptors where descriptor >= 0 { close(descriptor) }
        unsafe memory.deallocate()
    }

    /// The mesh as one worker sees it; valid as long as the mesh.
    func peers(of worker: Int) -> WorkerPeers {
        unsafe WorkerPeers(
            own: worker, memory: memory, shape: shape,
            ownDescriptor: eventDescriptors[worker],
            descriptors: eventDescriptors.withUnsafeBufferPointer { unsafe $0 })
    }

    /// Wakes all workers that sleep.
    func ringAll() {
        for worker in 0..<shape.workers { peers(of: worker).ownDoorbell.ring() }
    }
}

/// The mesh as one worker sees it: plain addresses, nothing counted.
@safe
struct WorkerPeers: @unchecked Sendable {
    /// Which worker's view it is.
    let own: Int
    /// Workers there are.
    var count: Int { shape.workers }
    let ownDoorbell: WorkerDoorbell

    private let memory: UnsafeMutableRawPointer
    private let shape: WorkerMesh.Shape
    /// The mesh's array never changes, so its storage stays where it is.
    private let descriptors: UnsafeBufferPointer<Int32>

    fileprivate init(
        own: Int, memory: UnsafeMutableRawPointer, shape: WorkerMesh.Shape, ownDescriptor: Int32,
        descriptors: UnsafeBufferPointer<Int32>
    ) {
        self.own = own
        unsafe self.memory = memory
        self.shape = shape
        unsafe self.descriptors = descriptors
        ownDoorbell = unsafe WorkerDoorbell(
            in: memory + own * WorkerDoorbell.byteCount, fileDescriptor: ownDescriptor)
    }

    @inline(__always)
    func ring(from source: Int, to target: Int) -> HandoffRing {
        let index = source &* shape.workers &+ target
        precondition(index < shape.ringCount)
        let offset =
            shape.workers &* WorkerDoorbell.byteCount &+ index &* shape.ringByteCount
        return unsafe HandoffRing(
            in: memory + offset, capacity: shape.ringCapacity, slotByteCount: shape.slotByteCount)
    }

    func doorbell(of worker: Int) -> WorkerDoorbell {
        precondition(worker < shape.workers)
        return unsafe WorkerDoorbell(
            in: memory + worker * WorkerDoorbell.byteCount, fileDescriptor: descriptors[worker])
    }

    /// Whether a frame is on its way to this worker.
    var hasFrames: Bool {
        for peer in 0..<count where peer != own && !ring(from: peer, to: own).isEmpty {
            return true
        }
        return false
    }
}
