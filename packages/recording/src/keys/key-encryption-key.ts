/** Wraps the keys of recordings. Where it lies decides who can read them. */
export interface KeyEncryptionKey {
  /** Which keys it unwraps; stored beside each key that it wrapped. Letters, digits, `.`, `_`, `:`, `/` and `-`. */
  readonly id: string
  /**
   * @param dataKey 32 bytes
   * @param session bound to the result: it can't be unwrapped as another session's
   * @throws {KeyError}
   */
  wrap(dataKey: Uint8Array, session: string): Promise<Uint8Array>
  /** @throws {KeyError} */
  unwrap(wrapped: Uint8Array, session: string): Promise<Uint8Array>
}

/** A key can't be wrapped or unwrapped, now (`unavailable`) or ever (`refused`). Never holds a key or a token. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  constructor(
    readonly code: 'unavailable' | 'refused',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Keys by their ids: the first wraps, all unwrap. So a key is replaced by putting another in front of it. */
export class KeyRing {
  readonly #keys: ReadonlyMap<string, KeyEncryptionKey>

  constructor(
    readonly newest: KeyEncryptionKey,
    older: readonly KeyEncryptionKey[],
  ) {
    this.#keys = new Map([...older, newest].map((key) => [key.id, key]))
  }

  /** @throws {KeyError} when there is no such key */
  get(id: string): KeyEncryptionKey {
    const key = this.#keys.get(id)
    if (key === undefined) throw new KeyError('refused', `the recording is under the key ${id.slice(0, 200)}, which is not configured`)
    return key
  }
}
