import type { ReadEvent, StoredEvent } from '../record.js'

/** The stored text byte for byte, with the position in front of its first member. */
export function nativeVerbatim(stored: StoredEvent): string {
  return `{"position":"${stored.position}",${stored.body.trimStart().slice(1)}`
}

/** The same for an event that was masked, and is therefore written anew. */
export function native({ position, head }: ReadEvent): object {
  return { position: String(position), ...head }
}
