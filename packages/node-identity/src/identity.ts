import { createHash, sign, X509Certificate, type KeyObject } from 'node:crypto'
import { credentials, type ChannelCredentials } from '@grpc/grpc-js'
import { compactDecrypt } from 'jose'
import { IdentityError } from './errors.js'
import { readIfThere, writeAtomically } from './files.js'
import { keyPem, loadKey } from './keys.js'
import { peerName, type NodeKind } from './names.js'
import { checkOwnCertificate, fingerprint, openTrustBundle, type TrustBundle } from './trust.js'

const IDENTITY_FILE = 'identity.json'

/** What is kept beside the key, in one file, so that it changes in one step. */
interface StoredIdentity {
  readonly version: 1
  readonly kind: NodeKind
  readonly node_id: string
  readonly name: string
  readonly hostnames: readonly string[]
  /** PEM. */
  readonly certificate: string
  /** The exact bytes, base64, whose SHA-256 is `fingerprint`. */
  readonly trust_bundle: string
  readonly fingerprint: string
}

export interface IdentityParts {
  readonly dataDir: string
  readonly kind: NodeKind
  readonly nodeId: string
  readonly name: string
  readonly hostnames: readonly string[]
  readonly key: KeyObject
  readonly certificate: X509Certificate
  readonly trustBundle: Uint8Array
}

/** Who this process is, and whom it believes. Immutable: a renewed one is a new object. */
export class NodeIdentity {
  readonly kind: NodeKind
  readonly nodeId: string
  readonly name: string
  readonly hostnames: readonly string[]
  readonly dataDir: string
  readonly certificate: X509Certificate
  readonly trustBundle: Uint8Array
  readonly #key: KeyObject
  readonly #trust: TrustBundle

  constructor(parts: IdentityParts) {
    this.kind = parts.kind
    this.nodeId = parts.nodeId
    this.name = parts.name
    this.hostnames = parts.hostnames
    this.dataDir = parts.dataDir
    this.certificate = parts.certificate
    this.trustBundle = parts.trustBundle
    this.#key = parts.key
    this.#trust = openTrustBundle(parts.trustBundle, fingerprint(parts.trustBundle))
  }

  /** The private key for TLS. Never log it. */
  get keyPem(): string {
    return keyPem(this.#key)
  }

  get key(): KeyObject {
    return this.#key
  }

  get certificatePem(): string {
    return this.certificate.toString()
  }

  get caPem(): string {
    return this.#trust.caPem
  }

  /** Hex SHA-256 of the certificate's DER. */
  get certificateSha256(): string {
    return createHash('sha256').update(this.certificate.raw).digest('hex')
  }

  get expiresAt(): Date {
    return this.certificate.validToDate
  }

  /** The control plane's signing keys by `kid`, for kit's verifyControlJws and verifyGrant. */
  get pinnedKeys(): ReadonlyMap<string, KeyObject> {
    return this.#trust.keys
  }

  /** Signs the payload of a SignedMessage: ECDSA P-256 with SHA-256, IEEE P1363, over "sallyport-link-v1\0" + payload. */
  sign(payload: Uint8Array): Buffer {
    return this.#sign(Buffer.concat([Buffer.from('sallyport-link-v1\0'), payload]))
  }

  /** Signs a renewal: over "sallyport-renew-v1\0" + CSR + decimal time. */
  signRenewal(csr: Uint8Array, timeUnixSeconds: number): Buffer {
    return this.#sign(Buffer.concat([Buffer.from('sallyport-renew-v1\0'), csr, Buffer.from(String(timeUnixSeconds))]))
  }

  /** Signs heads of session chains: over "sallyport-audit-v1\0" + text. */
  signAudit(text: Uint8Array): Buffer {
    return this.#sign(Buffer.concat([Buffer.from('sallyport-audit-v1\0'), text]))
  }

  /** Public half of this node's key (SPKI, DER). */
  get publicKey(): Buffer {
    return this.certificate.publicKey.export({ type: 'spki', format: 'der' })
  }

  /** Opens a JWE (ECDH-ES+A256KW, A256GCM) that was encrypted to this node's key. Rejects when it wasn't. */
  async decrypt(jwe: string): Promise<Buffer> {
    const { plaintext } = await compactDecrypt(jwe, this.#key, {
      keyManagementAlgorithms: ['ECDH-ES+A256KW'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
    return Buffer.from(plaintext)
  }

  /**
   * mTLS to another part of this installation. The peer must have a certificate of the pinned CA with the given role.
   * Its host name doesn't matter: agents reach gateways under names, addresses and port mappings that nobody listed,
   * and the role is what an attacker with any other certificate of ours lacks.
   */
  channelCredentials(peer: 'gateway' | 'control-plane'): ChannelCredentials {
    return credentials.createSsl(Buffer.from(this.caPem), Buffer.from(this.keyPem), Buffer.from(this.certificatePem), {
      checkServerIdentity: (_host, certificate) => {
        if (peerName(certificate.raw)?.kind === peer) return undefined
        return new IdentityError('CERTIFICATE_INVALID', `the certificate that the other side showed is not a ${peer}'s`)
      },
    })
  }

  /** Writes everything but the key, which is there already. */
  async save(): Promise<void> {
    const stored: StoredIdentity = {
      version: 1,
      kind: this.kind,
      node_id: this.nodeId,
      name: this.name,
      hostnames: this.hostnames,
      certificate: this.certificatePem,
      trust_bundle: Buffer.from(this.trustBundle).toString('base64'),
      fingerprint: fingerprint(this.trustBundle),
    }
    await writeAtomically(this.dataDir, IDENTITY_FILE, JSON.stringify(stored, null, 2) + '\n')
  }

  #sign(bytes: Buffer): Buffer {
    return sign('sha256', bytes, { key: this.#key, dsaEncoding: 'ieee-p1363' })
  }
}

/**
 * Reads the identity that an earlier {@link enrol} wrote, and checks it again. Undefined when there is none.
 * @throws {IdentityError} IDENTITY_UNREADABLE, KEY_PERMISSIONS, TRUST_BUNDLE_MISMATCH or CERTIFICATE_INVALID
 */
export async function loadIdentity(dataDir: string, now: Date = new Date()): Promise<NodeIdentity | undefined> {
  const text = await readIfThere(dataDir, IDENTITY_FILE)
  if (text === undefined) return undefined
  const stored = parseStored(text, dataDir)
  const key = await loadKey(dataDir)
  if (key === undefined) throw new IdentityError('IDENTITY_UNREADABLE', `${dataDir} has an identity but no key: enrol this node again`)
  const trustBundle = Buffer.from(stored.trust_bundle, 'base64')
  const trust = openTrustBundle(trustBundle, stored.fingerprint)
  const der = new X509Certificate(stored.certificate).raw
  const certificate = checkOwnCertificate(der, { trust, key, kind: stored.kind, nodeId: stored.node_id, now })
  return new NodeIdentity({
    dataDir,
    kind: stored.kind,
    nodeId: stored.node_id,
    name: stored.name,
    hostnames: stored.hostnames,
    key,
    certificate,
    trustBundle,
  })
}

function parseStored(text: string, dataDir: string): StoredIdentity {
  const damaged = (): IdentityError => new IdentityError('IDENTITY_UNREADABLE', `${IDENTITY_FILE} in ${dataDir} is damaged: enrol this node again`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw damaged()
  }
  if (!isStored(json)) throw damaged()
  return json
}

function isStored(json: unknown): json is StoredIdentity {
  if (typeof json !== 'object' || json === null) return false
  const fields = new Map<string, unknown>(Object.entries(json))
  const has = (name: string): boolean => typeof fields.get(name) === 'string'
  return (
    'version' in json &&
    json.version === 1 &&
    'kind' in json &&
    (json.kind === 'agent' || json.kind === 'gateway') &&
    ['node_id', 'name', 'certificate', 'trust_bundle', 'fingerprint'].every(has) &&
    'hostnames' in json &&
    Array.isArray(json.hostnames)
  )
}

/**
 * Channel options for every link between our processes. The name override keeps IP addresses out of SNI (RFC 6066
 * forbids them; roles are checked, not host names). Keep-alive finds a partner that vanished within 15 s. The window
 * lets one stream fill a long fat network: HTTP/2's 64 KiB default would cap all sessions together at 64 KiB per
 * round trip.
 */
export const linkChannelOptions = {
  'grpc.ssl_target_name_override': 'sallyport.internal',
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  'grpc-node.flow_control_window': 2 * 1024 * 1024,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
} as const
