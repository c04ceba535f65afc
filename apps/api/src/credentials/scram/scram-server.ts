import { timingSafeEqual } from 'node:crypto'
import { parseClientFinal, parseClientFirst, ScramError, type ClientFirst } from './messages.js'
import { hash, hmac, scramKeyBytes, type ScramVerifier } from './verifier.js'

export const scramPlus = 'SCRAM-SHA-256-PLUS'
export const scramPlain = 'SCRAM-SHA-256'
const bindingType = 'tls-server-end-point'

export interface ScramOptions {
  readonly mechanism: string
  /** RFC 5929 hash of the listener's certificate; empty without TLS: then PLUS wasn't offered. */
  readonly serverEndPoint: Uint8Array
  /** Our part of the nonce: printable, without comma. */
  readonly nonce: string
}

/** The mechanisms to offer, strongest first. */
export function scramMechanisms(serverEndPoint: Uint8Array): string[] {
  return serverEndPoint.length > 0 ? [scramPlus, scramPlain] : [scramPlain]
}

/** Server side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677). One use: first, then final. */
export class ScramServer {
  #first: ClientFirst | undefined
  #serverFirst = ''
  #verifier: ScramVerifier | undefined

  /** @throws {ScramError} for a mechanism that wasn't offered */
  constructor(private readonly options: ScramOptions) {
    if (!scramMechanisms(options.serverEndPoint).includes(options.mechanism)) throw new ScramError('the mechanism was not offered')
  }

  /**
   * Takes client-first, gives server-first.
   * @throws {ScramError}
   */
  first(message: Uint8Array, verifier: ScramVerifier): Buffer {
    if (this.#first) throw new ScramError('first message twice')
    const first = parseClientFirst(message)
    this.#checkBindingFlag(first)
    this.#first = first
    this.#verifier = verifier
    this.#serverFirst = `r=${first.nonce}${this.options.nonce},s=${Buffer.from(verifier.salt).toString('base64')},i=${verifier.iterations}`
    return Buffer.from(this.#serverFirst)
  }

  /**
   * Takes client-final. Gives server-final when the client has proven the secret.
   * @throws {ScramError} malformed, wrong nonce, wrong binding, or wrong proof: the caller tells the client one and the same
   */
  final(message: Uint8Array): Buffer {
    const [first, verifier] = [this.#first, this.#verifier]
    if (!first || !verifier) throw new ScramError('final message first')
    this.#verifier = undefined
    const final = parseClientFinal(message)
    const authMessage = `${first.bare},${this.#serverFirst},${final.withoutProof}`
    const signature = hmac(verifier.storedKey, authMessage)
    const isProofLong = final.proof.length === scramKeyBytes
    const clientKey = Buffer.alloc(scramKeyBytes)
    for (let i = 0; i < scramKeyBytes; i += 1) clientKey[i] = (signature[i] ?? 0) ^ (final.proof[i] ?? 0)
    // All checks are made before any of them answers.
    const proven = timingSafeEqual(hash(clientKey), verifier.storedKey)
    const isNonceOurs = final.nonce === first.nonce + this.options.nonce
    const binding = Buffer.concat([Buffer.from(first.gs2Header), first.binding === 'p' ? this.options.serverEndPoint : Buffer.alloc(0)])
    const isBound = final.channelBinding.length === binding.length && timingSafeEqual(final.channelBinding, binding)
    if (!isBound) throw new ScramError('the channel binding does not match: someone may stand between client and gateway')
    if (!proven || !isNonceOurs || !isProofLong) throw new ScramError('the proof does not verify')
    return Buffer.from(`v=${hmac(verifier.serverKey, authMessage).toString('base64')}`)
  }

  #checkBindingFlag(first: ClientFirst): void {
    if (this.options.mechanism === scramPlus) {
      if (first.binding !== 'p' || first.bindingName !== bindingType) throw new ScramError('channel binding tls-server-end-point is needed')
      return
    }
    if (first.binding === 'p') throw new ScramError('channel binding without the PLUS mechanism')
    // RFC 5802, section 6: the client could bind but wasn't offered it, though we did offer it: someone changed the list.
    if (first.binding === 'y' && this.options.serverEndPoint.length > 0) throw new ScramError('channel binding was stripped from the offer')
  }
}
