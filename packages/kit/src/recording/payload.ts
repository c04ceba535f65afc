import { createHash, randomBytes } from 'node:crypto'
import type { RecordedChunk } from '../event.js'

const newline = 0x0a

/** Random bytes in front of what is recorded, so that a digest can't be tried out on what a short result may have been. */
const saltBytes = 16

/** What a header says of the payload behind it. */
export interface PayloadFacts {
  readonly bytes: number
  /** Hexadecimal, of the payload. The session's chain is over the header, and so over this. */
  readonly sha256: string
}

/** The payload of a record (docs/recordings.md): a line of salt (base64url), and what was recorded. */
export function makePayload(content: string): { readonly facts: PayloadFacts; readonly payload: Buffer } {
  const payload = Buffer.from(`${randomBytes(saltBytes).toString('base64url')}\n${content}`, 'utf8')
  return { facts: { bytes: payload.length, sha256: digestOf(payload) }, payload }
}

/** What was recorded; undefined when it isn't text behind a line of salt. */
export function contentOf(payload: Uint8Array): string | undefined {
  const end = payload.indexOf(newline)
  if (end === -1) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload.subarray(end + 1))
  } catch {
    return undefined
  }
}

/** The payload of a recorded piece: a line of JSON for each chunk, in order. */
export function encodeChunks(chunks: readonly RecordedChunk[]): { readonly facts: PayloadFacts & { readonly count: number }; readonly payload: Buffer } {
  const { facts, payload } = makePayload(chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join(''))
  return { facts: { count: chunks.length, ...facts }, payload }
}

/** The chunks of a payload; undefined when it isn't one. They come from an agent: check each before it is used. */
export function decodeChunks(payload: Uint8Array): unknown[] | undefined {
  try {
    const lines = contentOf(payload)?.split('\n')
    return lines?.pop() === '' ? lines.map((line): unknown => JSON.parse(line)) : undefined
  } catch {
    return undefined
  }
}

/** SHA-256, hexadecimal. */
export const digestOf = (payload: Uint8Array): string => createHash('sha256').update(payload).digest('hex')

/** A spool record with a payload behind its header. The header is JSON and has no line break in it. */
export function joinRecord(header: Buffer, payload: Buffer): Buffer {
  return Buffer.concat([header, Buffer.of(newline), payload])
}

/** A spool record's header, and its payload when it has one. Views into the record. */
export function splitRecord(record: Uint8Array): { readonly header: Uint8Array; readonly payload?: Uint8Array } {
  const end = record.indexOf(newline)
  return end === -1 ? { header: record } : { header: record.subarray(0, end), payload: record.subarray(end + 1) }
}
