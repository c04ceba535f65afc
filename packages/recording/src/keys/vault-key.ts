import { ask } from '../http.js'
import { KeyError, type KeyEncryptionKey } from './key-encryption-key.js'

export interface VaultAccess {
  /** `https://vault.internal:8200` */
  readonly address: string
  /** Read for each request: agents renew it in its file. */
  token(): Promise<string>
  /** Where the transit engine is mounted, and the name of the key in it. */
  readonly mount: string
  readonly key: string
  readonly namespace?: string
}

const maxAnswerBytes = 64 * 1024
const ciphertext = /^vault:v\d{1,9}:[A-Za-z0-9+/=]{1,500}$/

/**
 * A key of HashiCorp Vault's transit engine (or OpenBao's): data keys are wrapped there, and the key never leaves it.
 * Vault keeps its own versions of the key: rotating it there needs nothing here. The session is the associated data, so
 * the key must be of an AEAD type (`aes256-gcm96`, the default, or `chacha20-poly1305`).
 */
export function vaultKey({ address, token, mount, key, namespace }: VaultAccess): KeyEncryptionKey {
  const call = async (operation: 'encrypt' | 'decrypt', body: object): Promise<unknown> => {
    const headers = { 'content-type': 'application/json', 'x-vault-request': 'true', 'x-vault-token': await token(), ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }) }
    const url = `${address.replace(/\/+$/, '')}/v1/${mount.split('/').map(encodeURIComponent).join('/')}/${operation}/${encodeURIComponent(key)}`
    const answer = await ask(url, { method: 'POST', headers, body: Buffer.from(JSON.stringify(body)) }, maxAnswerBytes).catch((error: unknown) => {
      throw new KeyError('unavailable', 'Vault could not be reached', { cause: error })
    })
    if (answer.status !== 200) throw new KeyError(answer.status === 400 ? 'refused' : 'unavailable', `Vault answered ${answer.status}`)
    return dataOf(answer.body, operation === 'encrypt' ? 'ciphertext' : 'plaintext')
  }
  return {
    id: `vault:${mount}/${key}`,
    async wrap(dataKey, session) {
      const wrapped = await call('encrypt', { plaintext: Buffer.from(dataKey).toString('base64'), associated_data: Buffer.from(session).toString('base64') })
      if (typeof wrapped !== 'string' || !ciphertext.test(wrapped)) throw new KeyError('unavailable', 'Vault did not answer with a wrapped key')
      return Buffer.from(wrapped)
    },
    async unwrap(wrapped, session) {
      const text = Buffer.from(wrapped).toString('latin1')
      // It comes from the database, and becomes part of a request.
      if (!ciphertext.test(text)) throw new KeyError('refused', 'the wrapped key is not one of Vault')
      const plain = await call('decrypt', { ciphertext: text, associated_data: Buffer.from(session).toString('base64') })
      const dataKey = Buffer.from(typeof plain === 'string' ? plain : '', 'base64')
      if (dataKey.length !== 32) throw new KeyError('unavailable', 'Vault did not answer with a key')
      return dataKey
    },
  }
}

function dataOf(body: Buffer, name: string): unknown {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'))
    const data: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'data') : undefined
    return typeof data === 'object' && data !== null ? Reflect.get(data, name) : undefined
  } catch {
    return undefined
  }
}
