/** A stored event, as a sink reads it behind the ingest. */
export interface StoredEvent {
  readonly position: bigint
  /** The stored JSON text, exactly. */
  readonly body: string
  /** What the control plane knows of the event's session beyond the event itself. */
  readonly session?: { readonly protocol: string; readonly clientAddress: string }
}

export type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
export const numberOf = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
export const textsOf = (value: unknown): string[] => listOf(value).flatMap((item) => textOf(item) ?? [])

/** Without what is undefined: receivers take an absent field and a null for different things. */
export function present(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** An event after masking, taken apart for the shapes. */
export interface ReadEvent {
  readonly position: bigint
  /** The wrapper: id, source, seq, received_at, kind, session, who, identity, claims, target. */
  readonly head: Fields
  /** The event as its source wrote it. */
  readonly event: Fields
  readonly kind: string
  readonly id: string
  readonly session?: { readonly protocol: string; readonly clientAddress: string }
}

/**
 * Takes a stored text apart.
 * @throws when it isn't JSON of the form that the ingest stores: somebody changed it in the database
 */
export function readEvent(stored: StoredEvent): ReadEvent {
  const head = fieldsOf(JSON.parse(stored.body))
  const [kind, id] = [textOf(head['kind']), textOf(head['id'])]
  if (kind === undefined || id === undefined) throw new Error('the stored event has no kind or id')
  return { position: stored.position, head, event: fieldsOf(head['event']), kind, id, ...(stored.session ? { session: stored.session } : {}) }
}

/** Milliseconds since the epoch of the event's own time, else of its receipt. */
export function millisOf({ head, event, kind }: ReadEvent): number {
  for (const text of [kind === 'alert' ? undefined : textOf(event['time']), textOf(head['received_at'])]) {
    const millis = text === undefined ? Number.NaN : Date.parse(text)
    if (Number.isFinite(millis)) return millis
  }
  return 0
}

/** The event's own time as written, RFC 3339 with all its digits. */
export function timeOf(event: ReadEvent): string {
  const own = event.kind === 'alert' ? undefined : textOf(event.event['time'])
  return own !== undefined && Number.isFinite(Date.parse(own)) ? own : (textOf(event.head['received_at']) ?? new Date(0).toISOString())
}
