import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { keyIdOf } from './session-chain.js'
import { parsed, readStatement } from './statement.js'

/** `typ` of the control plane's statement that a node's key is this one. It stands in the log, in the event of the enrolment. */
export const nodeKeyType = 'node-key+jwt'

export interface NodeKeyStatement {
  readonly node: string
  readonly kind: 'agent' | 'gateway'
  /** SPKI, DER, base64. */
  readonly public_key: string
  /** NumericDate. */
  readonly iat: number
}

/** Events of the log that bind a key to a node. */
export const keyEvents: ReadonlySet<string> = new Set(['node.enrolled', 'node.rekeyed'])

/**
 * Which key belongs to which agent, as the control plane has signed it into the log. Not from its database: who can write
 * that could put another key there.
 */
export class AgentKeys {
  readonly #keys = new Map<string, KeyObject>()

  /** @param control the control plane's public keys (Ed25519, JWK) */
  constructor(private readonly control: readonly JsonWebKey[]) {}

  /**
   * Takes the key out of an event of the log.
   * @param text as the control plane wrote it
   * @returns what is wrong with it
   */
  learn(text: string): string | undefined {
    const event = parsed(text)
    const statement = typeof event?.['key'] === 'string' ? readStatement(event['key'], nodeKeyType, this.control) : undefined
    if (statement === undefined) return 'changed: a node enrolled with a key that the control plane did not sign'
    const { node, kind, public_key: publicKey } = statement
    if (typeof node !== 'string' || typeof publicKey !== 'string' || node !== event?.['node'] || kind !== event['node_kind']) return "changed: the control plane's statement of the node's key is about another node"
    if (kind !== 'agent') return undefined
    const spki = Buffer.from(publicKey, 'base64')
    this.#keys.set(`agent:${node} ${keyIdOf(spki)}`, createPublicKey({ key: spki, format: 'der', type: 'spki' }))
    return undefined
  }

  find(source: string, key: string): KeyObject | undefined {
    return this.#keys.get(`${source} ${key}`)
  }
}
