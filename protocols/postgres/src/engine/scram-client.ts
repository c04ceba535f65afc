import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from '@sallyport/kit'

const derive = promisify(pbkdf2)

/** A hostile server could choose an iteration count that stalls the agent (pgjdbc CVE-2026-42198). PostgreSQL's default is 4096. */
const maxIterations = 1_000_000
const minIterations = 4096
const maxServerMessage = 4096

export class ScramError extends Error {
  override readonly name = 'ScramError'
}

/** Client side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. The password is never sent. */
export class ScramClient {
  readonly #password: Secret<string>
  readonly #nonce: string
  #bare = ''
  #serverSignature: Buffer | undefined

  constructor(password: Secret<string>, nonce = randomBytes(18).toString('base64')) {
    this.#password = password
    this.#nonce = nonce
  }

  /** client-first-message. PostgreSQL takes the user name from the start-up packet; `n=` stays empty. */
  first(): string {
    this.#bare = `n=,r=${this.#nonce}`
    return `n,,${this.#bare}`
  }

  /** client-final-message for the server's first one. */
  async final(serverFirst: string): Promise<string> {
    if (serverFirst.length > maxServerMessage) throw new ScramError('the target sent an oversized SCRAM message')
    const attributes = parse(serverFirst)
    const nonce = attributes.get('r') ?? ''
    const salt = Buffer.from(attributes.get('s') ?? '', 'base64')
    const iterations = Number(attributes.get('i'))
    if (!nonce.startsWith(this.#nonce) || nonce.length <= this.#nonce.length) throw new ScramError('the target did not extend our nonce')
    if (salt.length === 0) throw new ScramError('the target sent no salt')
    if (!Number.isSafeInteger(iterations) || iterations < minIterations || iterations > maxIterations) {
      throw new ScramError(`the target asks for ${attributes.get('i')?.slice(0, 12) ?? 'no'} SCRAM iterations; ${minIterations} to ${maxIterations} are accepted`)
    }
    const salted = await derive(this.#password.expose().normalize('NFKC'), salt, iterations, 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const storedKey = createHash('sha256').update(clientKey).digest()
    const withoutProof = `c=biws,r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = hmac(storedKey, authMessage)
    const proof = Buffer.alloc(32)
    for (let index = 0; index < 32; index += 1) proof[index] = (clientKey[index] ?? 0) ^ (signature[index] ?? 0)
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Checks that the server knows the password as well. */
  verify(serverFinal: string): void {
    const attributes = parse(serverFinal)
    const given = Buffer.from(attributes.get('v') ?? '', 'base64')
    const expected = this.#serverSignature
    if (!expected || given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ScramError('the target could not prove that it knows the password')
    }
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function parse(text: string): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const part of text.split(',')) {
    if (part.charAt(1) === '=') attributes.set(part.charAt(0), part.slice(2))
  }
  return attributes
}
