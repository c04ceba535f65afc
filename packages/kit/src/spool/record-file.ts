import { crc32 } from 'node:zlib'

/**
 * Framing of spool segments: `u32be length | u32be CRC-32 of payload | payload`. A record is whole or it isn't there:
 * a torn tail is recognised by length or checksum.
 */
export const headerBytes = 8
/** A record above this is refused before it is written, and treated as corruption when read. */
export const maxRecordBytes = 4 * 1024 * 1024

export function frameRecord(payload: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(headerBytes + payload.length)
  framed.writeUInt32BE(payload.length, 0)
  framed.writeUInt32BE(crc32(payload), 4)
  payload.copy(framed, headerBytes)
  return framed
}

export type ScanResult =
  | { readonly kind: 'record'; readonly payload: Buffer; readonly next: number }
  /** The buffer ends before the record does. */
  | { readonly kind: 'short' }
  | { readonly kind: 'corrupt' }

/** Reads the record at `offset`. The payload is a view into `bytes`. */
export function scanRecord(bytes: Buffer, offset: number): ScanResult {
  if (bytes.length - offset < headerBytes) return { kind: 'short' }
  const length = bytes.readUInt32BE(offset)
  if (length === 0 || length > maxRecordBytes) return { kind: 'corrupt' }
  const start = offset + headerBytes
  if (bytes.length < start + length) return { kind: 'short' }
  const payload = bytes.subarray(start, start + length)
  if (crc32(payload) !== bytes.readUInt32BE(offset + 4)) return { kind: 'corrupt' }
  return { kind: 'record', payload, next: start + length }
}
