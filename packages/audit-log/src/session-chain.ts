import { createHash } from 'node:crypto'

/** Where a record stands in its session's chain; written by the agent into the record itself. */
export interface ChainLink {
  /** From 1, without gaps. */
  readonly n: number
  /** base64url SHA-256 of the record before it, byte for byte as the agent wrote it; {@link genesisOf} for the first. */
  readonly prev: string
}

/** How far a session's chain had got. */
export interface SessionHead {
  readonly session: string
  readonly records: number
  /** {@link headOf} the last record. */
  readonly head: string
  /** That record is the session's end. */
  readonly closed: boolean
}

/** What stands for the record before the first: bound to the session, so that no record begins another one's chain. */
export function genesisOf(session: string): string {
  return createHash('sha256').update(`sallyport-session-v1\0${session}`).digest('base64url')
}

/** @param record the exact bytes that the agent wrote, or their text in UTF-8 */
export function headOf(record: Uint8Array | string): string {
  return createHash('sha256').update(record).digest('base64url')
}

const signatureName = ',"signature":"'
const signedPattern = /^,"signature":"([\w-]{86})"\}$/
const signatureTail = signatureName.length + 86 + 2

/**
 * A record with its agent's signature as the last member, over every byte in front of it.
 * @param record a JSON object's text
 * @param sign ECDSA P-256 with SHA-256, IEEE P1363
 */
export function sealed(record: string, sign: (text: Uint8Array) => Uint8Array): string {
  const text = record.slice(0, -1)
  return `${text}${signatureName}${Buffer.from(sign(Buffer.from(text))).toString('base64url')}"}`
}

/** What of a sealed record is signed, and by what; undefined when it isn't sealed. */
export function sealOf(record: string): { readonly text: string; readonly signature: Buffer } | undefined {
  const value = signedPattern.exec(record.slice(-signatureTail))?.[1]
  if (value === undefined) return undefined
  const signature = Buffer.from(value, 'base64url')
  // The last character has bits that mean nothing: with others set it would be another text with the same meaning.
  return signature.toString('base64url') === value ? { text: record.slice(0, -signatureTail), signature } : undefined
}

/** Name of an agent's key in its signatures: base64url SHA-256 of the public key (SPKI, DER). */
export function keyIdOf(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64url')
}

/** Agents write it right behind the time, so that it can be found without parsing a record of any size. */
const linkPattern = /^\{"v":1,"seq":\d{1,16},"time":"[0-9TZ:.-]{20,32}","chain":\{"n":(\d{1,16}),"prev":"([\w-]{43})"\},/

/** A record's place in its session's chain; undefined when it has none. */
export function chainOf(record: string): ChainLink | undefined {
  const match = linkPattern.exec(record)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { n: Number(match[1]), prev: match[2] }
}
