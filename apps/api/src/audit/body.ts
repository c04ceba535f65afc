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
  /** {@link wordsOf} a command's text. */
  readonly words: string | null
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
  // Every event asks three times, and most of them within the second of the one before.
  if (seconds !== lastSeconds) {
    if (!isSecond(seconds)) return undefined
    lastSeconds = seconds
  }
  return `${seconds}.${(match?.[2] ?? '').padEnd(6, '0')}Z`
}

let lastSeconds = ''

function isSecond(seconds: string): boolean {
  const parsed = new Date(seconds + 'Z')
  // Date accepts 30 February and the like; the database doesn't, and one such record must not stop the chain.
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().slice(0, 19) === seconds && parsed.getUTCFullYear() >= 1970
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields | undefined => (isFields(value) ? value : undefined)

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

function need(wrapper: Fields, name: string): string {
  const value = textOf(wrapper[name])
  if (value === undefined) throw new Error(`the body has no ${name}`)
  return value
}

/** Index entries have a size limit in PostgreSQL, jsonb takes neither NUL nor half a surrogate pair. */
function indexable(text: string): string {
  const short = text.length > 256 ? text.slice(0, 256) : text
  return (short.includes('\u0000') ? short.replaceAll('\u0000', '\ufffd') : short).toWellFormed()
}

/** Distinct actions or objects of one event that searches find. */
const maxIndexed = 256

/**
 * Derives the searchable columns from a body. Written out by hand: this runs for every event.
 * @throws when the body isn't one that this module makes
 */
export function deriveColumns(body: string): EventColumns {
  const wrapper = fieldsOf(JSON.parse(body))
  const event = fieldsOf(wrapper?.['event'])
  if (wrapper?.['v'] !== 1 || !event) throw new Error('the body has not the form of an event')
  const receivedAt = normaliseTime(need(wrapper, 'received_at'))
  if (receivedAt === undefined) throw new Error('received_at is not a time')
  const kind = need(wrapper, 'kind')
  const seq = wrapper['seq']
  const command = event['command']
  const decision = fieldsOf(event['decision'])
  return {
    id: need(wrapper, 'id'),
    time: (kind === 'alert' ? undefined : normaliseTime(textOf(event['time']) ?? '')) ?? receivedAt,
    receivedAt,
    source: need(wrapper, 'source'),
    sourceSeq: typeof seq === 'number' ? BigInt(seq) : null,
    kind,
    sessionId: textOf(wrapper['session']) ?? null,
    command: typeof command === 'number' && Number.isInteger(command) && command >= 0 && command <= 0x7fffffff ? command : null,
    identity: column(wrapper['who']),
    target: column(wrapper['target']),
    actions: effectFields(event['effects'], 'action'),
    objects: effectFields(event['effects'], 'resource'),
    decision: column(decision ? decision['verdict'] : event['verdict']),
    rule: column(decision?.['rule']),
    words: kind === 'command' || kind === 'approval.requested' ? wordsOf(textOf(event['text']) ?? '') : null,
  }
}

/** Of longer texts, the beginning can be searched. UTF-16 units. */
const maxSearched = 8192

/** Letters and digits, in lower case, with one space between words: what a full-text search of the statement sees. Null when there are none. */
export function wordsOf(text: string): string | null {
  const words = text.slice(0, maxSearched).toLowerCase().toWellFormed().replaceAll(/[^\p{L}\p{N}]+/gu, ' ').trim()
  return words === '' ? null : words
}

const column = (value: unknown): string | null => (typeof value === 'string' ? indexable(value) : null)

function effectFields(effects: unknown, name: 'action' | 'resource'): string[] {
  if (!Array.isArray(effects)) return []
  const found = new Set<string>()
  for (const effect of effects) {
    const value = textOf(fieldsOf(effect)?.[name])
    if (value !== undefined && value !== '' && found.size < maxIndexed) found.add(indexable(value))
  }
  return [...found]
}
