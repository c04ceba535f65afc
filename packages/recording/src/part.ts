import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** A part is not what it must be: changed, cut, of another session or place, or under another key. */
export class PartError extends Error {
  override readonly name = 'PartError'
}

/** Where a part belongs. It can't be read as the part of anything else. */
export interface PartPlace {
  /** UUID. */
  readonly session: string
  /** Numbers, in the agent's spool, of the first and last record whose payload it may hold. */
  readonly first: bigint
  readonly last: bigint
}

/** The payload of one record of the agent's spool. */
export interface Piece {
  readonly seq: bigint
  readonly payload: Uint8Array
}

const magic = Buffer.from('SPRP')
const version = 1
/** zstd (RFC 8878). */
const codecZstd = 1
const headBytes = 42
const nonceBytes = 12
const tagBytes = 16
const pieceHeadBytes = 12
export const dataKeyBytes = 32
/** Most that a part holds, unpacked. A batch of an agent is smaller; whoever writes storage can't make a reader unpack more. */
export const maxPlainBytes = 64 * 1024 * 1024
/** A part is never larger: what doesn't get smaller by packing grows by less than a hundredth. */
export const maxPartBytes = maxPlainBytes + 1024 * 1024

/**
 * Packs pieces: framed, compressed, encrypted with AES-256-GCM. Format: docs/recordings.md.
 *
 * The nonce is made of the content with a key of its own, so that writing the same pieces again gives the same bytes (a
 * batch that is sent again overwrites itself), and no counter that a crash sets back can ever repeat one.
 * @param dataKey 32 bytes, of this session alone
 * @throws {RangeError} when there is too much for a part
 */
export function sealPart(dataKey: Uint8Array, place: PartPlace, pieces: readonly Piece[]): Buffer {
  const plain = Buffer.concat(pieces.flatMap(({ seq, payload }) => [pieceHead(seq, payload.length), payload]))
  if (plain.length > maxPlainBytes) throw new RangeError('too much for one part of a recording')
  const head = headOf(place, plain.length)
  const packed = zstdCompressSync(plain)
  // Of what is encrypted, not of what was packed: another version of zstd packs the same pieces otherwise.
  const nonce = createHmac('sha256', derived(dataKey, 'nonce')).update(head).update(createHash('sha256').update(packed).digest()).digest().subarray(0, nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', derived(dataKey, 'part'), nonce).setAAD(head)
  const body = Buffer.concat([cipher.update(packed), cipher.final()])
  return Buffer.concat([head, nonce, body, cipher.getAuthTag()])
}

/**
 * Unpacks a part, if it is the one of this place.
 * @returns payloads by the number of their record
 * @throws {PartError}
 */
export function openPart(dataKey: Uint8Array, place: PartPlace, bytes: Uint8Array): Map<bigint, Buffer> {
  const part = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (part.length < headBytes + nonceBytes + tagBytes) throw new PartError('it is cut off')
  const plainBytes = part.readUInt32BE(headBytes - 4)
  if (plainBytes > maxPlainBytes) throw new PartError('it says that it is larger than a part may be')
  const head = placed(place, plainBytes)
  if (!part.subarray(0, headBytes).equals(head)) throw new PartError('it is the part of another place, or of a format that this version does not know')
  const bodyStart = headBytes + nonceBytes
  const decipher = createDecipheriv('aes-256-gcm', derived(dataKey, 'part'), part.subarray(headBytes, bodyStart), { authTagLength: tagBytes })
  decipher.setAAD(head).setAuthTag(part.subarray(part.length - tagBytes))
  let plain: Buffer
  try {
    const packed = Buffer.concat([decipher.update(part.subarray(bodyStart, part.length - tagBytes)), decipher.final()])
    // Bounded by what the (authenticated) head says: a small part can't unpack to a large one.
    plain = zstdDecompressSync(packed, { maxOutputLength: Math.max(1, plainBytes) })
  } catch {
    throw new PartError('it was changed, or its key is another')
  }
  if (plain.length !== plainBytes) throw new PartError('it is not as long as it says')
  return piecesOf(plain, place)
}

/** A place that somebody made up in the database is the place of no part. */
function placed(place: PartPlace, plainBytes: number): Buffer {
  try {
    return headOf(place, plainBytes)
  } catch {
    throw new PartError('what the database says of its place can not be')
  }
}

function headOf({ session, first, last }: PartPlace, plainBytes: number): Buffer {
  const head = Buffer.alloc(headBytes)
  magic.copy(head)
  head.writeUInt8(version, 4)
  head.writeUInt8(codecZstd, 5)
  const id = Buffer.from(session.replaceAll('-', ''), 'hex')
  if (id.length !== 16) throw new RangeError('a session is named by a UUID')
  id.copy(head, 6)
  head.writeBigUInt64BE(first, 22)
  head.writeBigUInt64BE(last, 30)
  head.writeUInt32BE(plainBytes, 38)
  return head
}

function pieceHead(seq: bigint, length: number): Buffer {
  const head = Buffer.alloc(pieceHeadBytes)
  head.writeBigUInt64BE(seq, 0)
  head.writeUInt32BE(length, 8)
  return head
}

function piecesOf(plain: Buffer, { first, last }: PartPlace): Map<bigint, Buffer> {
  const pieces = new Map<bigint, Buffer>()
  let before = first - 1n
  for (let at = 0; at < plain.length; ) {
    if (plain.length - at < pieceHeadBytes) throw new PartError('its last piece is cut off')
    const seq = plain.readBigUInt64BE(at)
    const start = at + pieceHeadBytes
    const end = start + plain.readUInt32BE(at + 8)
    if (end > plain.length || seq <= before || seq > last) throw new PartError('its pieces do not fit')
    pieces.set(seq, plain.subarray(start, end))
    before = seq
    at = end
  }
  return pieces
}

function derived(dataKey: Uint8Array, purpose: 'nonce' | 'part'): Buffer {
  if (dataKey.length !== dataKeyBytes) throw new RangeError('a data key has 32 bytes')
  return Buffer.from(hkdfSync('sha256', dataKey, '', `sallyport recording ${purpose} v1`, dataKeyBytes))
}
