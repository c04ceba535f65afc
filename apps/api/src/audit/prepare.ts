import { randomFillSync } from 'node:crypto'
import { bodyOf } from '@sallyport/audit-log'
import { digestOf, splitRecord } from '@sallyport/kit'
import { v7 as uuid } from 'uuid'
import { z } from 'zod'
import { claimsWith, withPseudonyms } from '../privacy/identifiers.js'
import type { SessionPiece } from '../recordings/recording-parts.service.js'
import { deriveColumns, normaliseTime, type PreparedEvent } from './body.js'
import { textsOf } from '../sessions/session-identity.js'
import type { ControlPlaneEventBody } from './events.js'

const pool = new Uint8Array(16 * 512)
let drawn = pool.length

/** Randomness is drawn for 512 events at a time: one call for each was a fourteenth of what the control plane does for an event. */
function eventId(): string {
  if (drawn === pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  drawn += 16
  return uuid({ random: pool.subarray(drawn - 16, drawn) })
}

/** What an event takes from its session. */
export interface SessionFacts {
  readonly agentId: string
  readonly identityKind: string
  readonly identity: string
  readonly groups: unknown
  readonly claims: unknown
  /** The person behind a workload's run. */
  readonly actor: string | null
  readonly target: string
}

/** What stands for people's names in the log, by name; what isn't in it stays as it is. */
export type Pseudonyms = ReadonlyMap<string, string>
const nobody: Pseudonyms = new Map()

/** Records longer than this are not stored as an event but as an alert with their beginning. Bytes. */
const recordLimit = 8 * 1024 * 1024
const alertRawLimit = 64 * 1024

const stamp = { v: z.literal(1), seq: z.number().int().positive(), time: z.string() }
const sessionId = z.uuid()
export const isSessionId = (text: string): boolean => sessionId.safeParse(text).success
const ordinal = z.number().int().min(0).max(0x7fffffff)

/** What a header says of its payload. An agent from before there were payloads wrote its chunks into the record. */
const payloadFacts = { count: ordinal.optional(), bytes: ordinal.optional(), sha256: z.string().optional(), chunks: z.array(z.unknown()).optional() }

/**
 * The least that a record must have to be stored as what it says it is. Loose on purpose: a newer agent may add fields,
 * and they are kept, since the text is stored verbatim.
 */
const recordSchema = z.discriminatedUnion('kind', [
  z.looseObject({ ...stamp, kind: z.literal('session.start'), session: sessionId }),
  z.looseObject({ ...stamp, kind: z.literal('session.end'), session: sessionId, reason: z.string(), commands: ordinal }),
  z.looseObject({
    ...stamp,
    kind: z.literal('command'),
    session: sessionId,
    command: ordinal,
    text: z.string(),
    effects: z.array(z.looseObject({ action: z.string(), resource: z.string() })),
    decision: z.looseObject({ verdict: z.enum(['allow', 'deny', 'hold']), rule: z.string() }),
  }),
  z.looseObject({ ...stamp, kind: z.literal('command.held'), session: sessionId, command: ordinal, approval: z.string() }),
  z.looseObject({ ...stamp, kind: z.literal('command.released'), session: sessionId, command: ordinal, verdict: z.string() }),
  z.looseObject({ ...stamp, kind: z.literal('command.end'), session: sessionId, command: ordinal, status: z.string(), result_bytes: ordinal.optional(), result_sha256: z.string().optional() }),
  z.looseObject({ ...stamp, kind: z.literal('recording'), session: sessionId, command: ordinal, first: z.number().int().min(0), ...payloadFacts }),
  z.looseObject({ ...stamp, kind: z.literal('gap'), session: sessionId, first_command: ordinal, last_command: ordinal.optional(), missing: z.record(z.string(), z.number()), reason: z.string() }),
  z.looseObject({ ...stamp, kind: z.literal('session.signed'), heads: z.array(z.unknown()), key: z.string(), signature: z.string() }),
  z.looseObject({ ...stamp, kind: z.enum(['agent.start', 'agent.stop']), version: z.string() }),
])

/** The end of a session, as its agent told it. */
export interface SessionEnded {
  readonly session: string
  readonly reason: string
  readonly commands: number
  readonly time: string
}

export interface PreparedRecord extends PreparedEvent {
  readonly ended?: SessionEnded
  /** What the session showed, and the record names by its digest. */
  readonly piece?: SessionPiece
}

/** A record after the cheap checks, before its session is known. */
export type ReadRecord =
  | { readonly ok: true; readonly text: string; readonly kind: string; readonly session?: string; readonly ended?: SessionEnded; readonly payload?: Uint8Array }
  | { readonly ok: false; readonly text: string; readonly problem: string }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads one spool record. Never throws: what can't be read becomes an alert, so that one bad record can't stop a spool. */
export function readRecord(bytes: Uint8Array, seq: bigint): ReadRecord {
  const { header, payload } = splitRecord(bytes)
  const text = textOf(header)
  const whole = payload === undefined ? text : textOf(bytes)
  // What is kept of a bad record is all of it: it tells what was run, whatever else is wrong with it.
  const bad = (problem: string): ReadRecord => ({ ok: false, text: whole ?? Buffer.from(bytes).toString('latin1'), problem })
  if (text === undefined) return bad('the record is not UTF-8')
  if (bytes.length > recordLimit) return bad('the record is too large')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return bad('the record is not JSON')
  }
  const parsed = recordSchema.safeParse(json)
  if (!parsed.success) return bad('the record has not the shape of an event: ' + (parsed.error.issues[0]?.path.join('.') ?? ''))
  const record = parsed.data
  if (BigInt(record.seq) !== seq) return bad(`the record says seq ${record.seq}, its place is ${seq}`)
  const time = normaliseTime(record.time)
  if (time === undefined) return bad('the record has no valid time')
  if (record.kind === 'recording' || record.kind === 'command.end') {
    const wrong = record.kind === 'recording' ? wrongRecording(record, payload) : wrongPayload({ bytes: record.result_bytes, sha256: record.result_sha256 }, payload)
    return wrong === undefined ? { ok: true, text, kind: record.kind, session: record.session, ...(payload === undefined ? {} : { payload }) } : bad(wrong)
  }
  if (payload !== undefined) return bad('there is a payload behind a record that has none')
  if (record.kind === 'agent.start' || record.kind === 'agent.stop' || record.kind === 'session.signed') return { ok: true, text, kind: record.kind }
  const session = typeof record.session === 'string' ? record.session : undefined
  if (record.kind !== 'session.end') return { ok: true, text, kind: record.kind, ...(session === undefined ? {} : { session }) }
  const ended = { session: record.session, reason: record.reason.slice(0, 256), commands: record.commands, time }
  return { ok: true, text, kind: record.kind, session: record.session, ended }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes).trim()
  } catch {
    return undefined
  }
}

function wrongRecording({ bytes, sha256, chunks }: z.infer<z.ZodObject<typeof payloadFacts>>, payload: Uint8Array | undefined): string | undefined {
  if (chunks !== undefined) return payload === undefined && sha256 === undefined ? undefined : 'the record has chunks and a payload'
  return payload === undefined ? 'the record has no payload' : wrongPayload({ bytes, sha256 }, payload)
}

/** Why a record and its payload don't belong together; undefined when they do, and when there is none on either side. */
function wrongPayload({ bytes, sha256 }: { readonly bytes: number | undefined; readonly sha256: string | undefined }, payload: Uint8Array | undefined): string | undefined {
  if (payload === undefined) return sha256 === undefined ? undefined : 'the record names a payload and has none'
  return payload.length === bytes && digestOf(payload) === sha256 ? undefined : 'the payload is not the one that the record names'
}

/**
 * Wraps a record of an agent: who and which target come from the session in the control plane's own database, never
 * from the agent. The record's text stands in the body verbatim.
 */
export function prepareRecord(agentId: string, seq: bigint, record: ReadRecord, sessions: ReadonlyMap<string, SessionFacts>, now: string, pseudonyms: Pseudonyms = nobody): PreparedRecord {
  const head = { v: 1, id: eventId(), source: `agent:${agentId}`, seq: Number(seq), received_at: now }
  if (!record.ok) return alertRecord(head, 'BAD_RECORD', record.problem, record.text)
  if (record.session === undefined) return wrap({ ...head, kind: record.kind }, record.text)
  const session = sessions.get(record.session)
  // An agent writes about its own sessions only (a compromised agent could blame another identity otherwise).
  if (session?.agentId !== agentId) {
    return alertRecord(head, 'FOREIGN_SESSION', 'an agent sent an event of a session that is not its own', withPayload(record))
  }
  const name = nameOf(session, pseudonyms)
  const detailed = record.kind === 'command' || record.kind === 'session.start'
  const prepared = wrap(
    {
      ...head,
      kind: record.kind,
      session: record.session,
      who: name,
      identity: { kind: session.identityKind, name, ...(detailed ? { groups: session.groups } : {}) },
      ...(detailed ? { claims: claimsWith(textsOf(session.claims), session, pseudonyms) } : {}),
      target: session.target,
    },
    record.text,
  )
  return {
    ...prepared,
    ...(record.ended ? { ended: record.ended } : {}),
    ...(record.payload === undefined ? {} : { piece: { session: record.session, seq, payload: record.payload } }),
  }
}

/** A workload's name is nobody's. */
const nameOf = ({ identityKind, identity }: SessionFacts, pseudonyms: Pseudonyms): string => (identityKind === 'user' ? (pseudonyms.get(identity) ?? identity) : identity)

const withPayload = ({ text, payload }: { readonly text: string; readonly payload?: Uint8Array }): string =>
  payload === undefined ? text : `${text}\n${textOf(payload) ?? Buffer.from(payload).toString('latin1')}`

function wrap(head: object, recordText: string): PreparedEvent {
  const body = bodyOf(head, recordText)
  return { body, columns: deriveColumns(body) }
}

function alertRecord(head: object, code: string, message: string, raw: string): PreparedEvent {
  const record = raw.slice(0, alertRawLimit).toWellFormed()
  const event = { kind: 'alert', code, message, record, ...(raw.length > alertRawLimit ? { record_truncated: true } : {}) }
  return wrap({ ...head, kind: 'alert' }, JSON.stringify(event))
}

/** A record whose number another record of the same agent has already. It gets no number: the first one keeps it. */
export function prepareForked(agentId: string, seq: bigint, record: string, now: string): PreparedEvent {
  const message = `the agent sent another record ${seq} than the one that is stored: its spool is a copy, or was restored from a backup; enrol it again`
  return alertRecord({ v: 1, id: eventId(), source: `agent:${agentId}`, received_at: now }, 'SPOOL_FORKED', message, record)
}

/** Wraps an event of the control plane itself. `session` is looked up by the caller when the event names one. */
export function prepareControlEvent(event: ControlPlaneEventBody, session: SessionFacts | undefined, now: string, pseudonyms: Pseudonyms = nobody): PreparedEvent {
  const named = 'session' in event ? event.session : undefined
  const target = ('target' in event ? event.target : undefined) ?? session?.target
  const who = actorOf(event, pseudonyms) ?? (session && nameOf(session, pseudonyms))
  const head = {
    v: 1,
    id: eventId(),
    source: 'control-plane',
    received_at: now,
    kind: event.kind,
    ...(named !== undefined && isSessionId(named) ? { session: named } : {}),
    ...(who === undefined ? {} : { who }),
    ...(target === undefined ? {} : { target }),
  }
  return wrap(head, JSON.stringify(withPseudonyms(event, pseudonyms)))
}

/** Who did it: the person for what people do, else the identity that it is about. */
function actorOf(event: ControlPlaneEventBody, pseudonyms: Pseudonyms): string | undefined {
  const swapped = (name: string): string => pseudonyms.get(name) ?? name
  if ('by' in event && event.by !== undefined) return swapped(event.by)
  if ('identity' in event && event.identity !== undefined) return event.identity.kind === 'user' ? swapped(event.identity.name) : event.identity.name
  if ('user' in event && event.user !== undefined) return swapped(event.user)
  return undefined
}

/** Now, RFC 3339 UTC with microseconds (the clock gives milliseconds). */
export const timestamp = (): string => new Date().toISOString().replace('Z', '000Z')
