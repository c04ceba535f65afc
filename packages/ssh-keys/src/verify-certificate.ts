import { BlockList, isIP } from 'node:net'
import type { SshCertificate } from './certificate.js'
import { malformed, SshKeyError } from './errors.js'
import { verifyBlob } from './signature.js'
import { decodeText, WireReader } from './wire.js'

export interface CertificateCheck {
  /** Public key blobs of the authorities that are trusted for users. */
  readonly cas: readonly Uint8Array[]
  readonly now: Date
  /** Must be one of the certificate's principals, letter by letter. */
  readonly principal: string
  /** The client's address, for `source-address`. */
  readonly sourceAddress: string
}

export interface VerifiedCertificate {
  readonly serial: bigint
  readonly keyId: string
  readonly principals: readonly string[]
  /** From the critical option of that name: nothing else may be run. The caller must enforce it. */
  readonly forceCommand: string | undefined
  /** `permit-pty` …: what isn't there is not permitted. */
  readonly extensions: ReadonlySet<string>
}

/**
 * Whether this is a good user certificate of one of the authorities, for this principal, now, from here. That the client
 * holds its key is {@link verifySignature}'s to tell; whether the serial was revoked is the caller's.
 * @throws {SshKeyError}
 */
export function verifyCertificate(certificate: SshCertificate, check: CertificateCheck): VerifiedCertificate {
  const { authority, principals } = certificate
  // The authority first: of a stranger's certificate nothing is worth telling.
  if (!check.cas.some((ca) => authority.blob.equals(ca))) throw new SshKeyError('UNKNOWN_AUTHORITY', 'the certificate was signed by an authority that is not trusted here')
  verifyBlob(authority, certificate.signature, certificate.signedPart)
  if (certificate.type !== 'user') throw new SshKeyError('WRONG_TYPE', 'this is a certificate for hosts, not for users')
  const now = BigInt(Math.floor(check.now.getTime() / 1000))
  if (certificate.validAfter >= certificate.validBefore) throw malformed('the certificate is valid at no time')
  if (now < certificate.validAfter) throw new SshKeyError('NOT_YET_VALID', 'the certificate is not valid yet')
  if (now >= certificate.validBefore) throw new SshKeyError('EXPIRED', 'the certificate has expired')
  // To OpenSSH a certificate without principals is good for all of them in some places: here for none.
  if (!principals.includes(check.principal)) throw new SshKeyError('WRONG_PRINCIPAL', 'the certificate does not name this user')
  return {
    serial: certificate.serial,
    keyId: certificate.keyId,
    principals,
    forceCommand: checkOptions(certificate.criticalOptions, check.sourceAddress),
    extensions: new Set(certificate.extensions.keys()),
  }
}

/** Returns the forced command. An option that we don't know is a restriction that we can't enforce. */
function checkOptions(options: ReadonlyMap<string, Buffer>, sourceAddress: string): string | undefined {
  let forceCommand: string | undefined
  for (const [name, data] of options) {
    if (name === 'force-command') forceCommand = packedText(data)
    else if (name === 'source-address') {
      if (!isAmong(packedText(data), sourceAddress)) throw new SshKeyError('SOURCE_ADDRESS', 'the certificate may not be used from this address')
    } else throw new SshKeyError('CRITICAL_OPTION', `the certificate has the critical option ${name}, which is not supported`)
  }
  return forceCommand
}

function packedText(data: Buffer): string {
  const reader = new WireReader(data)
  const text = decodeText(reader.string())
  reader.end()
  return text
}

/** Comma-separated addresses and CIDR blocks. No wildcards and no host names: PROTOCOL.certkeys allows neither. */
function isAmong(list: string, address: string): boolean {
  const entries = list.split(',')
  if (entries.length > 64) throw malformed('the certificate lists too many source addresses')
  const blocks = new BlockList()
  for (const entry of entries) {
    const [network = '', prefix, ...rest] = entry.split('/')
    const family = isIP(network)
    const bits = prefix === undefined ? (family === 4 ? 32 : 128) : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    if (family === 0 || rest.length > 0 || bits < 0 || bits > (family === 4 ? 32 : 128)) throw malformed('the certificate lists a source address that is none')
    blocks.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  // A dual-stack listener shows IPv4 clients as IPv6.
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
  const family = isIP(plain)
  return family !== 0 && blocks.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}
