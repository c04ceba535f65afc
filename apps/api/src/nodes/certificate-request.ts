import 'reflect-metadata'
import { createPublicKey, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { EnrolmentError } from './nodes.errors.js'

const hostnamePattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const maxRequestBytes = 8 * 1024
const defaultHostnames: readonly string[] = ['localhost', '127.0.0.1', '::1']

export interface NodeRequest {
  readonly publicKey: webcrypto.CryptoKey
  /** DER. */
  readonly publicKeySpki: Buffer
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/**
 * Reads a PKCS#10 request: P-256 only, its own signature must verify (the node holds the key). Of what it asks for, only
 * names are looked at, see {@link permittedNames}; subject, usages and everything else are ours to decide.
 * @throws {EnrolmentError}
 */
export async function readRequest(der: Buffer): Promise<NodeRequest> {
  if (der.length > maxRequestBytes) throw invalid('it is too large')
  try {
    const request = new Pkcs10CertificateRequest(new Uint8Array(der))
    const publicKeySpki = Buffer.from(request.publicKey.rawData)
    const key = createPublicKey({ key: publicKeySpki, format: 'der', type: 'spki' })
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw invalid('the key is not P-256')
    if (!(await request.verify())) throw invalid('its signature does not verify')
    const publicKey = await webcrypto.subtle.importKey('spki', new Uint8Array(publicKeySpki), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])
    const names = request.extensions.find((extension) => extension instanceof SubjectAlternativeNameExtension)?.names.items ?? []
    return {
      publicKey,
      publicKeySpki,
      dnsNames: names.flatMap((name) => (name.type === 'dns' ? [name.value.toLowerCase()] : [])),
      ipAddresses: names.flatMap((name) => (name.type === 'ip' ? [name.value] : [])),
    }
  } catch (error) {
    if (error instanceof EnrolmentError) throw error
    throw invalid('it can not be read')
  }
}

/**
 * The names that go into a gateway's certificate: what it asks for, if its enrolment token allows every one of them; all
 * that are allowed when it asks for none. The token's label `hostnames` lists them, separated by commas.
 * @throws {EnrolmentError}
 */
export function permittedNames(request: NodeRequest, labels: Readonly<Record<string, string>>): { readonly dnsNames: string[]; readonly ipAddresses: string[] } {
  const listed = (labels['hostnames'] ?? '').split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  const allowed = listed.length > 0 ? listed : defaultHostnames
  const asked = [...request.dnsNames, ...request.ipAddresses]
  const allowedAddresses = new Set(allowed.filter((name) => isIP(name) !== 0).map(canonicalAddress))
  for (const name of asked.length > 0 ? asked : allowed) {
    if (isIP(name) === 0 && !hostnamePattern.test(name)) throw new EnrolmentError('HOSTNAME_REFUSED', 'a name in the request or the enrolment token is not a host name')
    const permitted = isIP(name) === 0 ? allowed.includes(name) : allowedAddresses.has(canonicalAddress(name))
    if (!permitted) throw new EnrolmentError('HOSTNAME_REFUSED', `the gateway asks for the name ${name.slice(0, 253)}, which its enrolment token does not allow`)
  }
  const names = asked.length > 0 ? asked : allowed
  return { dnsNames: names.filter((name) => isIP(name) === 0), ipAddresses: names.filter((name) => isIP(name) !== 0) }
}

/** `::1` and `0:0:0:0:0:0:0:1` are one address. */
function canonicalAddress(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname : address
}

function invalid(reason: string): EnrolmentError {
  return new EnrolmentError('REQUEST_INVALID', `the certificate request is not acceptable: ${reason}`)
}
