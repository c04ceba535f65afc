import { createHash } from 'node:crypto'

/** Head of an empty chain. */
export const genesis: Buffer = Buffer.alloc(32)

/**
 * hash = SHA-256(previous hash ‖ position, 8 bytes big-endian ‖ body in UTF-8). The position is inside, so that a record
 * can't be moved even together with its link.
 */
export function chainHash(previous: Uint8Array, position: bigint, body: string): Buffer {
  const place = Buffer.alloc(8)
  place.writeBigUInt64BE(position)
  return createHash('sha256').update(previous).update(place).update(body, 'utf8').digest()
}

/** Ends the control plane's own fields in a stored body. A quote inside their strings is escaped, so that no value can pose as it. */
const eventKey = ',"event":'

/** The body of a stored event: who and where, by the control plane, and what its source wrote, verbatim. */
export function bodyOf(head: object, event: string): string {
  return `${JSON.stringify(head).slice(0, -1)}${eventKey}${event}}`
}

/** What the source wrote, out of a body of {@link bodyOf}. */
export function eventPart(body: string): string {
  return body.slice(body.indexOf(eventKey) + eventKey.length, -1)
}
