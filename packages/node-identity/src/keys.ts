import 'reflect-metadata'
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto, type KeyObject } from 'node:crypto'
import { cryptoProvider, Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { IdentityError } from './errors.js'
import { readIfThere, refuseSharedKey, writeAtomically } from './files.js'
import type { NodeKind } from './names.js'

const KEY_FILE = 'node.key'

cryptoProvider.set(webcrypto)

/** The node's P-256 key. It's made here, written with mode 0600, and never leaves this machine. */
export async function loadKey(dataDir: string): Promise<KeyObject | undefined> {
  const pem = await readIfThere(dataDir, KEY_FILE)
  if (pem === undefined) return undefined
  await refuseSharedKey(dataDir, KEY_FILE)
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new IdentityError('IDENTITY_UNREADABLE', `${KEY_FILE} in ${dataDir} is not a private key`)
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new IdentityError('IDENTITY_UNREADABLE', `${KEY_FILE} in ${dataDir} is not a P-256 key`)
  }
  return key
}

/** The key that is there (an enrolment that was cut off is repeated with the same key), or a new one. */
export async function loadOrMakeKey(dataDir: string): Promise<KeyObject> {
  const existing = await loadKey(dataDir)
  if (existing !== undefined) return existing
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeAtomically(dataDir, KEY_FILE, keyPem(privateKey))
  return privateKey
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** DER of the SubjectPublicKeyInfo, by which keys are compared. */
export function spki(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' })
}

/** A PKCS#10 request (DER) for our key; gateways ask for their host names, which clients verify. */
export async function certificateRequest(key: KeyObject, kind: NodeKind, hostnames: readonly string[]): Promise<Buffer> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const names = hostnames.map((value) => ({ type: isIp(value) ? ('ip' as const) : ('dns' as const), value }))
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=sallyport ${kind}`,
    keys: {
      privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
      publicKey: await webcrypto.subtle.importKey('spki', spki(key), algorithm, true, ['verify']),
    },
    signingAlgorithm: algorithm,
    extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)],
  })
  return Buffer.from(request.rawData)
}

function isIp(value: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(value) || value.includes(':')
}
