import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { IdentityError } from './errors.js'
import { spki } from './keys.js'
import { peerName, type NodeKind } from './names.js'

/** What a node believes: one CA, and the keys with which the control plane signs grants and decisions. */
export interface TrustBundle {
  readonly caPem: string
  readonly ca: X509Certificate
  /** By `kid`. Ed25519 only. */
  readonly keys: ReadonlyMap<string, KeyObject>
}

export function fingerprint(bundle: Uint8Array): string {
  return createHash('sha256').update(bundle).digest('hex')
}

/**
 * Reads a bundle after its exact bytes were found to have the fingerprint that is pinned.
 * @throws {IdentityError} TRUST_BUNDLE_MISMATCH
 */
export function openTrustBundle(bytes: Uint8Array, expected: string): TrustBundle {
  if (fingerprint(bytes) !== expected) {
    throw new IdentityError(
      'TRUST_BUNDLE_MISMATCH',
      'what answered is not the control plane that issued this identity (its keys have another fingerprint): check the address, and that nothing stands in between',
    )
  }
  try {
    return readTrustBundle(bytes)
  } catch (error) {
    throw new IdentityError('TRUST_BUNDLE_MISMATCH', 'the control plane’s trust bundle can’t be read', { cause: error })
  }
}

function readTrustBundle(bytes: Uint8Array): TrustBundle {
  const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  if (typeof json !== 'object' || json === null || !('ca' in json) || !('keys' in json)) throw new TypeError('no ca, no keys')
  if (typeof json.ca !== 'string' || !Array.isArray(json.keys)) throw new TypeError('ca or keys of a wrong type')
  const keys = new Map<string, KeyObject>()
  for (const jwk of json.keys as unknown[]) {
    if (typeof jwk !== 'object' || jwk === null || !('kid' in jwk) || typeof jwk.kid !== 'string') throw new TypeError('a key without kid')
    const { kid } = jwk
    // Nothing but public Ed25519: a symmetric or an RSA key here could only serve an attack on the algorithm.
    if (!('kty' in jwk) || jwk.kty !== 'OKP' || !('crv' in jwk) || jwk.crv !== 'Ed25519' || !('x' in jwk) || typeof jwk.x !== 'string') {
      throw new TypeError('a key that is not Ed25519')
    }
    keys.set(kid, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: jwk.x }, format: 'jwk' }))
  }
  if (keys.size === 0) throw new TypeError('no keys')
  return { caPem: json.ca, ca: new X509Certificate(json.ca), keys }
}

/**
 * The certificate is from the pinned CA, is of our key, names us, and is in time.
 * @throws {IdentityError} CERTIFICATE_INVALID saying which check failed
 */
export function checkOwnCertificate(
  der: Uint8Array,
  expected: { readonly trust: TrustBundle; readonly key: KeyObject; readonly kind: NodeKind; readonly nodeId: string; readonly now: Date },
): X509Certificate {
  const refuse = (why: string): never => {
    throw new IdentityError('CERTIFICATE_INVALID', `the certificate from the control plane is refused: ${why}`)
  }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
  } catch {
    return refuse('it can’t be read')
  }
  const { trust, key, kind, nodeId, now } = expected
  if (!trust.ca.ca) refuse('the trust bundle’s CA is not a CA certificate')
  if (!certificate.checkIssued(trust.ca) || !certificate.verify(trust.ca.publicKey)) refuse('the pinned CA did not issue it')
  if (certificate.ca) refuse('it is a CA certificate')
  if (!spki(certificate.publicKey).equals(spki(key))) refuse('it is for another key')
  const name = peerName(certificate.raw)
  if (name?.kind !== kind || name.nodeId !== nodeId) refuse(`it does not name sallyport:${kind}:${nodeId}`)
  if (certificate.validToDate <= now) refuse('it has expired: enrol this node again')
  // A minute for clocks that differ.
  if (certificate.validFromDate.getTime() > now.getTime() + 60_000) refuse('it is from the future: check this machine’s clock')
  return certificate
}
