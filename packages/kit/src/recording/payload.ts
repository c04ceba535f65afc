import { createHash } from 'node:crypto'
import type { RecordedChunk } from '../event.js'

const newline = 0x0a

/** What a header says of the payload behind it. */
export interface PayloadFacts {
  /** Chunks in it. */
  readonly count: number
  readonly bytes: number
  /** Hexadecimal, of the payload. The session's chain is over the header, and so over this. */
  readonly sha256: string
}

/** The payload of a recorded piece (docs/recording.md): a line of JSON for each chunk, in order. */
export function encodeChunks(chunks: readonly RecordedChunk[]): { readonly facts: PayloadFacts; readonly payload: Buffer } {
  const payload = Buffer.from(chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join(''), 'utf8')
  return { facts: { count: chunks.length, bytes: payload.length, sha256: digestOf(payload) }, payload }
}

/** The chunks of a payload; undefined when it isn't one. They come from an agent: check each before it is used. */
export function decodeChunks(payload: Uint8Array): unknown[] | undefined {
  try {
    const lines = new TextDecoder('utf-8', { fatal: true }).decode(payload).split('\n')
    if (lines.pop() !== '') return undefined
    return lines.map((line): unknown => JSON.parse(line))
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
