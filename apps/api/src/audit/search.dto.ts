import { z } from 'zod'

const text = z.string().min(1).max(256)
const time = z.iso.datetime({ offset: true })

/** Query of GET /v1/events. Every given filter must hold. */
export const searchQuerySchema = z.strictObject({
  who: text.optional(),
  target: text.optional(),
  /** Covers its subtree and, for an alias, its members: `sql.ddl` finds `sql.ddl.drop`. */
  action: text.optional(),
  /** Exact, or with `*` for any text. */
  object: text.optional(),
  decision: text.optional(),
  /** Exact, or everything below: `approval` finds `approval.voted`. */
  kind: text.optional(),
  session: z.uuid().optional(),
  /** Pieces of recordings as well, which are left out otherwise unless `kind` asks for them. */
  recordings: z.enum(['true', 'false']).optional(),
  since: time.optional(),
  until: time.optional(),
  /** Words of a command's text: `drop table`, `"drop table"`, `-orders`, `cust*`, `delete OR truncate`. */
  statement: z.string().min(1).max(500).optional(),
  /** Anywhere in the record, without regard to case. */
  text: z.string().min(2).max(200).optional(),
  order: z.enum(['asc', 'desc']).optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  cursor: z.string().regex(/^\d{1,18}$/).optional(),
})
export type SearchQuery = z.infer<typeof searchQuerySchema>

export interface EventItem {
  readonly position: string
  readonly id: string
  readonly time: string
  readonly received_at: string
  readonly source: string
  readonly seq?: string
  readonly kind: string
  readonly session?: string
  readonly command?: number
  readonly who?: string
  readonly target?: string
  readonly actions: readonly string[]
  readonly objects: readonly string[]
  readonly decision?: string
  readonly rule?: string
  readonly hash: string
  /** The event as its source wrote it. */
  readonly event: unknown
  readonly claims?: unknown
  readonly identity?: unknown
}

export interface EventPage {
  readonly items: readonly EventItem[]
  readonly next?: string
}
