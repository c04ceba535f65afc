import { TransferProtocolError } from './errors.js'
import { maxHandleBytes, maxPathBytes } from './limits.js'
import type { Attributes } from './types.js'

/** Bits of ATTRS (draft-ietf-secsh-filexfer-02 section 5). */
const attributeFlag = { size: 1, ids: 2, permissions: 4, times: 8, extended: 0x80000000 } as const
const knownFlags = 0x8000000f

/** Reads the fields of one packet; every read is checked against the packet's end. */
export class SftpCursor {
  #position: number

  /** @param position where the first field starts; 5 is behind length and type */
  constructor(
    readonly buffer: Buffer,
    position = 5,
  ) {
    this.#position = position
  }

  get remaining(): number {
    return this.buffer.length - this.#position
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4))
  }

  uint64(): bigint {
    return this.buffer.readBigUInt64BE(this.#take(8))
  }

  /** An offset or a length in a file. Beyond 2^53 no file system goes, and numbers would lose digits. */
  offset(): number {
    const value = this.uint64()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TransferProtocolError('invalid SFTP file offset')
    return Number(value)
  }

  string(): Buffer {
    const length = this.uint32()
    const start = this.#take(length)
    return this.buffer.subarray(start, start + length)
  }

  path(): Buffer {
    const path = this.string()
    if (path.length > maxPathBytes) throw new TransferProtocolError('SFTP path is too long')
    return path
  }

  handle(): Buffer {
    const handle = this.string()
    if (handle.length === 0 || handle.length > maxHandleBytes) throw new TransferProtocolError('invalid SFTP handle')
    return handle
  }

  attributes(): Attributes {
    const start = this.#position
    const flags = this.uint32()
    // A bit that we don't know may stand for a field that we would misread.
    if ((flags & ~knownFlags) !== 0) throw new TransferProtocolError('unknown SFTP attribute')
    const size = flags & attributeFlag.size ? { size: this.uint64() } : {}
    const ids = flags & attributeFlag.ids ? { uid: this.uint32(), gid: this.uint32() } : {}
    const permissions = flags & attributeFlag.permissions ? { permissions: this.uint32() } : {}
    const times = flags & attributeFlag.times ? { atime: this.uint32(), mtime: this.uint32() } : {}
    const extended = flags & attributeFlag.extended ? this.uint32() : 0
    for (let index = 0; index < extended; index++) {
      this.string()
      this.string()
    }
    return { raw: this.buffer.subarray(start, this.#position), ...size, ...ids, ...permissions, ...times, extended }
  }

  /** @throws {TransferProtocolError} when bytes are left over: two readers of the packet could then differ */
  end(): void {
    if (this.remaining !== 0) throw new TransferProtocolError('bytes after the end of an SFTP packet')
  }

  /** Leaves out the rest of the packet. */
  skip(): void {
    this.#position = this.buffer.length
  }

  #take(count: number): number {
    const start = this.#position
    if (count > this.remaining) throw new TransferProtocolError('SFTP packet ends too early')
    this.#position += count
    return start
  }
}
