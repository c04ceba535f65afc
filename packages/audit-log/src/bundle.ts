import { createHash, createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import { SessionVerifier, type BadRecord } from './session-verifier.js'

export const bundleFormat = 'sallyport.dev/session-bundle/v1'
/** `typ` of the statement: the control plane vouches for who the agent is and for its own events of the session. */
export const statementType = 'session-bundle+jwt'

/** What the control plane signs into a bundle. */
export interface BundleStatement {
  readonly session: string
  /** `agent:<node id>` */
  readonly agent: string
  /** SPKI, DER, base64. */
  readonly public_key: string
  /** {@link controlDigest} of the control plane's events in the bundle. */
  readonly control_sha256: string
  /** NumericDate. */
  readonly iat: number
}

export interface BundleVerification {
  readonly ok: boolean
  readonly session: string
  readonly agent: string
  /** Records of the agent that are whole and in their place. */
  readonly records: number
  /** Events of the control plane that its statement covers. */
  readonly control: number
  /** `position` is the line of the file. */
  readonly first_bad?: BadRecord
}

/** Hex SHA-256 over the stored bodies, each with a newline behind it. */
export function controlDigest(bodies: readonly string[]): string {
  const hash = createHash('sha256')
  for (const body of bodies) hash.update(body).update('\n')
  return hash.digest('hex')
}

/** Longest line: a record of at most 4 MiB, escaped. */
const maxLine = 64 * 1024 * 1024

/**
 * Checks a session's bundle with nothing but the control plane's published keys: who the agent was, that its records are whole
 * from the first to the end, and that it signed that end.
 * @param lines of the file, without their newlines
 * @param keys Ed25519 public keys (JWK)
 */
export async function verifyBundle(lines: AsyncIterable<string>, keys: readonly JsonWebKey[]): Promise<BundleVerification> {
  let line = 0
  let session = ''
  let agent = ''
  let records = 0
  let statement: BundleStatement | undefined
  let verifier: SessionVerifier | undefined
  const control: string[] = []
  const report = (problem?: string, at = line): BundleVerification => ({
    ok: problem === undefined, session, agent, records, control: control.length, ...(problem === undefined ? {} : { first_bad: { position: String(at), problem } }),
  })
  for await (const text of lines) {
    line += 1
    const value = text.length > maxLine ? undefined : parsed(text)
    if (value === undefined) return report('changed: the line is not one of a bundle')
    if (statement === undefined || verifier === undefined) {
      if (value['format'] !== bundleFormat || typeof value['statement'] !== 'string') return report(`changed: the file does not begin as a bundle (${bundleFormat})`)
      statement = readStatement(value['statement'], keys)
      if (statement === undefined) return report("changed: the statement is not signed by one of the control plane's keys that were given")
      session = statement.session
      agent = statement.agent
      verifier = new SessionVerifier(new Map([[agent, Buffer.from(statement.public_key, 'base64')]]), session)
    } else if (typeof value['control'] === 'string') {
      control.push(value['control'])
    } else if (typeof value['record'] === 'string') {
      const record = parsed(value['record'])
      const kind = record?.['kind']
      if (record === undefined || typeof kind !== 'string') return report('changed: the line holds no record')
      const own = record['session']
      if (kind !== 'session.signed' && own !== session) return report('forked: a record of another session')
      const bad = verifier.check({ position: BigInt(line), source: agent, kind, session: typeof own === 'string' ? own : null, seq: null, text: value['record'] })
      if (bad !== undefined) return report(bad.problem, Number(bad.position))
      if (kind !== 'session.signed') records += 1
    } else return report('changed: the line is not one of a bundle')
  }
  if (statement === undefined || verifier === undefined) return report('truncated: the bundle is empty')
  if (controlDigest(control) !== statement.control_sha256) return report("changed: the control plane's events are not those that it signed")
  if (verifier.finish(0).counts.signed !== 1) return report("truncated: the bundle does not hold the session's end with its agent's signature")
  return report()
}

function readStatement(jws: string, keys: readonly JsonWebKey[]): BundleStatement | undefined {
  const [head = '', payload = '', signature = '', ...more] = jws.split('.')
  const header = parsed(Buffer.from(head, 'base64url').toString('utf8'))
  if (more.length > 0 || header?.['alg'] !== 'EdDSA' || header['typ'] !== statementType) return undefined
  const signed = Buffer.from(`${head}.${payload}`, 'latin1')
  if (!keys.some((key) => isSignedBy(key, signed, Buffer.from(signature, 'base64url')))) return undefined
  const claims = parsed(Buffer.from(payload, 'base64url').toString('utf8'))
  const { session, agent, public_key: publicKey, control_sha256: digest, iat } = claims ?? {}
  if (typeof session !== 'string' || typeof agent !== 'string' || typeof publicKey !== 'string' || typeof digest !== 'string' || typeof iat !== 'number') return undefined
  return { session, agent, public_key: publicKey, control_sha256: digest, iat }
}

function isSignedBy(jwk: JsonWebKey, text: Buffer, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return key.asymmetricKeyType === 'ed25519' && verify(null, text, key, signature)
  } catch {
    return false
  }
}

function parsed(text: string): { readonly [name: string]: unknown } | undefined {
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
