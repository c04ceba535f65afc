import type { PartPlace } from '../part.js'

/** A sealed part's name. With its digest, so that nothing but the same bytes can ever be written over it. */
export interface PartName extends PartPlace {
  /** SHA-256 of the sealed bytes, hexadecimal. */
  readonly sha256: string
}

/** Where sealed parts lie outside the database. They are whole or not there. */
export interface PartStore {
  /** What the database keeps as the place of its parts. */
  readonly id: 'file' | 's3'
  /** Resolves when the part is durable. Safe to repeat. @throws {StoreError} */
  put(name: PartName, bytes: Uint8Array): Promise<void>
  /** Undefined when there is no such part. @throws {StoreError} */
  get(name: PartName): Promise<Buffer | undefined>
  /** Safe to repeat: a part that isn't there is as good as deleted. @throws {StoreError} also when the store keeps it (object lock) */
  delete(name: PartName): Promise<void>
}

/** The store can't be reached or written. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

const idPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const digestPattern = /^[0-9a-f]{64}$/

/** `SESSION/FIRST-LAST-DIGEST.part`, numbers padded so that names sort as the parts do. */
export function pathOf({ session, first, last, sha256 }: PartName): string {
  // It becomes a path, and comes from the database: nothing but a UUID and a digest may.
  if (!idPattern.test(session) || !digestPattern.test(sha256)) throw new StoreError('the part has no name that a store could have given it')
  return `${session}/${String(first).padStart(16, '0')}-${String(last).padStart(16, '0')}-${sha256.slice(0, 32)}.part`
}
