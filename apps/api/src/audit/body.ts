import { createHash } from 'node:crypto'
import { z } from 'zod'

/** Head of an empty chain. */
export const genesis: Buffer = Buffer.alloc(32)

/**
 * hash = SHA-256(previous hash ‖ position, 8 bytes big-endian ‖ body in UTF-8). The position is inside, so that a record
 * can't be moved even together with its link.
 */
export function chainHash(previous: Uint8Array, position: bigint, body: string): Buffer {
  const place = Buffer.alloc(8)
  place.writeBigUInt64BE(position)
  return createHash('sha256').update(previous).update(place).update(body, 'utf8').digest()
}

/**
 * The columns of an event row. All of them are derived from the body alone, so that {@link deriveColumns} can check
 * later that nobody changed what searches see while leaving the hashed text as it was.
 */
export interface EventColumns {
  readonly id: string
  /** RFC 3339 UTC with six digits of fraction, like {@link receivedAt}. */
  readonly time: string
  readonly receivedAt: string
  readonly source: string
  readonly sourceSeq: bigint | null
  readonly kind: string
  readonly sessionId: string | null
  readonly command: number | null
  readonly identity: string | null
  readonly target: string | null
  readonly actions: readonly string[]
  readonly objects: readonly string[]
  readonly decision: string | null
  readonly rule: string | null
}

/** An event ready to be chained. */
export interface PreparedEvent {
  readonly body: string
  readonly columns: EventColumns
}

const utc = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/

/** `2026-01-02T03:04:05Z` → `2026-01-02T03:04:05.000000Z`; undefined when it isn't a real UTC time since 1970. */
export function normaliseTime(text: string): string | undefined {
  const match = utc.exec(text)
  const seconds = match?.[1]
  if (seconds === undefined) return undefined
  const parsed = new Date(seconds + 'Z')
  // Date accepts 30 February and the like; the database doesn't, and one such record must not stop the chain.
  if (Number.isNaN(parsed.getTime()) || parsed.toISOString().slice(0, 19) !== seconds || parsed.getUTCFullYear() < 1970) return undefined
  return `${seconds}.${(match?.[2] ?? '').padEnd(6, '0')}Z`
}

const bodySchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  source: z.string(),
  seq: z.number().int().optional(),
  received_at: z.string(),
  kind: z.string(),
  session: z.string().optional(),
  who: z.string().optional(),
  target: z.string().optional(),
  event: z.looseObject({
    time: z.unknown().optional(),
    command: z.unknown().optional(),
    effects: z.array(z.object({ action: z.string(), resource: z.string() })).optional().catch(undefined),
    decision: z.object({ verdict: z.string(), rule: z.string() }).optional().catch(undefined),
    verdict: z.string().optional().catch(undefined),
  }),
})

/** Index entries have a size limit in PostgreSQL, jsonb takes neither NUL nor half a surrogate pair. */
function indexable(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').toWellFormed().slice(0, 256).toWellFormed()
}

const distinct = (values: readonly string[]): string[] => [...new Set(values.filter((v) => v !== '').map(indexable))].slice(0, 256)

/**
 * Derives the searchable columns from a body.
 * @throws when the body isn't one that this module makes
 */
export function deriveColumns(body: string): EventColumns {
  const wrapper = bodySchema.parse(JSON.parse(body))
  const event = wrapper.event
  const receivedAt = normaliseTime(wrapper.received_at)
  if (receivedAt === undefined) throw new Error('received_at is not a time')
  const own = typeof event.time === 'string' && wrapper.kind !== 'alert' ? normaliseTime(event.time) : undefined
  const effects = event.effects ?? []
  const command = event.command
  return {
    id: wrapper.id,
    time: own ?? receivedAt,
    receivedAt,
    source: wrapper.source,
    sourceSeq: wrapper.seq === undefined ? null : BigInt(wrapper.seq),
    kind: wrapper.kind,
    sessionId: wrapper.session ?? null,
    command: typeof command === 'number' && Number.isInteger(command) && command >= 0 && command <= 0x7fffffff ? command : null,
    identity: wrapper.who === undefined ? null : indexable(wrapper.who),
    target: wrapper.target === undefined ? null : indexable(wrapper.target),
    actions: distinct(effects.map((e) => e.action)),
    objects: distinct(effects.map((e) => e.resource)),
    decision: event.decision === undefined ? (event.verdict === undefined ? null : indexable(event.verdict)) : indexable(event.decision.verdict),
    rule: event.decision === undefined ? null : indexable(event.decision.rule),
  }
}
