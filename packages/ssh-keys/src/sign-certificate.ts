import { randomBytes, sign, type KeyObject } from 'node:crypto'
import { certificateAlgorithm, parseCertificate, type SshCertificate } from './certificate.js'
import { malformed, SshKeyError } from './errors.js'
import { publicKeyOf, type SshPublicKey } from './public-key.js'
import { WireReader, WireWriter } from './wire.js'

export interface CertificateFacts {
  /** Ed25519 private key of the authority. */
  readonly authority: KeyObject
  readonly subject: SshPublicKey
  readonly type?: 'user' | 'host'
  /** Unsigned 64 bits. */
  readonly serial: bigint
  /** Stands in the target's log. */
  readonly keyId: string
  /** At least one: a certificate for nobody in particular would be one for anybody. */
  readonly principals: readonly string[]
  readonly validAfter: Date
  readonly validBefore: Date
  readonly forceCommand?: string
  /** Addresses and CIDR blocks. */
  readonly sourceAddresses?: readonly string[]
  /** `permit-pty` … Default none: what isn't permitted is refused. */
  readonly extensions?: readonly string[]
}

/**
 * Signs an OpenSSH certificate (PROTOCOL.certkeys).
 * @throws {SshKeyError} when the facts make no certificate that we would accept ourselves
 */
export function signCertificate(facts: CertificateFacts): SshCertificate {
  const { authority, subject, principals, extensions = [] } = facts
  if (authority.type !== 'private' || authority.asymmetricKeyType !== 'ed25519') throw new SshKeyError('UNSUPPORTED_KEY', 'a certificate authority needs an Ed25519 private key')
  if (principals.length === 0 || principals.includes('')) throw malformed('a certificate must name its principals')
  const after = seconds(facts.validAfter)
  const before = seconds(facts.validBefore)
  if (after >= before) throw malformed('the certificate would be valid at no time')
  const options: [string, string][] = []
  if (facts.forceCommand !== undefined) options.push(['force-command', facts.forceCommand])
  if (facts.sourceAddresses !== undefined) options.push(['source-address', facts.sourceAddresses.join(',')])
  const algorithm = certificateAlgorithm(subject.type)
  const keyFields = new WireReader(subject.blob)
  keyFields.name()
  const body = new WireWriter()
    .string(algorithm)
    .string(randomBytes(32))
    .raw(subject.blob.subarray(keyFields.position))
    .uint64(BigInt.asUintN(64, facts.serial))
    .uint32(facts.type === 'host' ? 2 : 1)
    .string(facts.keyId)
    .string(joined(principals, (writer, principal) => writer.string(principal)))
    .uint64(after)
    .uint64(before)
    .string(joined(options, (writer, [name, value]) => writer.string(name).string(new WireWriter().string(value).bytes())))
    .string(joined([...new Set(extensions)].sort(), (writer, name) => writer.string(name).string('')))
    .string('')
    .string(publicKeyOf(authority).blob)
    .bytes()
  const signature = new WireWriter().string('ssh-ed25519').string(sign(null, body, authority)).bytes()
  return parseCertificate(new WireWriter().raw(body).string(signature).bytes())
}

function joined<T>(items: readonly T[], write: (writer: WireWriter, item: T) => void): Buffer {
  const writer = new WireWriter()
  for (const item of items) write(writer, item)
  return writer.bytes()
}

function seconds(date: Date): bigint {
  const value = Math.floor(date.getTime() / 1000)
  if (!Number.isSafeInteger(value) || value < 0) throw malformed('a certificate needs real dates')
  return BigInt(value)
}
