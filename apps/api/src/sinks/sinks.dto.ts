import { z } from 'zod'
import { pageQuery } from '../openapi/paging.js'

const position = z.string().regex(/^\d{1,18}$/, 'must be a position')

/** Query of GET /v1/sinks. */
export const listQuerySchema = pageQuery.extend({ state: z.enum(['running', 'failing', 'paused']).optional() })
export type ListQuery = z.infer<typeof listQuerySchema>

/** Query of GET /v1/sinks/:name/dead-letters. */
export const lettersQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: position.optional(),
})
export type LettersQuery = z.infer<typeof lettersQuerySchema>

/** Body of POST /v1/sinks/:name/dead-letters/retry; without positions, all of the sink's. */
export const retrySchema = z.strictObject({ positions: z.array(position).min(1).max(1000).optional() })
export type RetryRequest = z.infer<typeof retrySchema>

export interface SinkItem {
  readonly name: string
  readonly kind: string
  readonly shape: string
  readonly state: 'running' | 'failing' | 'paused'
  /** Of the last event that was acknowledged or filed as a dead letter. */
  readonly position: string
  readonly lag_records: number
  readonly lag_seconds: number
  readonly sent: number
  readonly dead_letters: number
  readonly last_error?: string
  readonly last_error_at?: string
  readonly failing_since?: string
  readonly last_sent_at?: string
}

export interface DeadLetterItem {
  readonly position: string
  readonly code: string
  readonly reason: string
  readonly attempts: number
  readonly retrying: boolean
  readonly created_at: string
  readonly tried_at: string
}

export interface TestReply {
  readonly ok: boolean
  readonly event_id?: string
  readonly code?: string
  readonly reason?: string
}
