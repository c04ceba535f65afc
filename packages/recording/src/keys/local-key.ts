import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { KeyError, type KeyEncryptionKey } from './key-encryption-key.js'

const nonceBytes = 12
const tagBytes = 16

/** A key-encryption key that this process holds: AES-256-GCM. Its id is made of the key, so that it can't be mixed up. */
export class LocalKey implements KeyEncryptionKey {
  readonly id: string
  readonly #key: Uint8Array

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new RangeError('a key-encryption key has 32 bytes')
    this.#key = key
    this.id = `local:${createHash('sha256').update('sallyport recording key id\0').update(key).digest('hex').slice(0, 16)}`
  }

  wrap(dataKey: Uint8Array, session: string): Promise<Uint8Array> {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(session))
    return Promise.resolve(Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]))
  }

  async unwrap(wrapped: Uint8Array, session: string): Promise<Uint8Array> {
    const bytes = Buffer.from(wrapped)
    if (bytes.length < nonceBytes + tagBytes) throw new KeyError('refused', 'the wrapped key is cut off')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(session)).setAuthTag(bytes.subarray(bytes.length - tagBytes))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes)), decipher.final()])
    } catch (error) {
      throw new KeyError('refused', 'the wrapped key was changed, or belongs to another session', { cause: error })
    }
  }
}
