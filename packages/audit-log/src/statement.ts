import { createPublicKey, verify, type JsonWebKey } from 'node:crypto'

/**
 * Reads what the control plane has signed: a compact JWS (RFC 7515), EdDSA, of one `typ`.
 * @param keys Ed25519 public keys (JWK)
 * @returns its claims; undefined when none of the keys has signed it, or for something else
 */
export function readStatement(jws: string, typ: string, keys: readonly JsonWebKey[]): { readonly [name: string]: unknown } | undefined {
  const [head = '', payload = '', signature = '', ...more] = jws.split('.')
  const header = parsed(Buffer.from(head, 'base64url').toString('utf8'))
  if (more.length > 0 || header?.['alg'] !== 'EdDSA' || header['typ'] !== typ) return undefined
  const signed = Buffer.from(`${head}.${payload}`, 'latin1')
  if (!keys.some((key) => isSignedBy(key, signed, Buffer.from(signature, 'base64url')))) return undefined
  return parsed(Buffer.from(payload, 'base64url').toString('utf8'))
}

function isSignedBy(jwk: JsonWebKey, text: Buffer, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return key.asymmetricKeyType === 'ed25519' && verify(null, text, key, signature)
  } catch {
    return false
  }
}

/** A JSON object; undefined for everything else. */
export function parsed(text: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFields(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
