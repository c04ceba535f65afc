import type { PolicyTestResult } from '@sallyport/kit'
import { documentKindNames } from '@sallyport/policy'
import { z } from 'zod'
import { pageQuery } from '../openapi/paging.js'

export const applySchema = z.strictObject({
  documents: z
    .array(
      z.strictObject({
        /** Where the text comes from; for messages only. */
        path: z.string().min(1).max(1024),
        text: z.string().max(1024 * 1024),
      }),
    )
    .max(1000),
  dry_run: z.boolean().optional(),
  prune: z.boolean().optional(),
  reason: z.string().max(1000).optional(),
})
export type ApplyRequest = z.infer<typeof applySchema>

export const documentsQuerySchema = pageQuery.extend({
  kind: z.enum(documentKindNames).optional(),
  // A set is at most a thousand documents (see applySchema): whoever exports it gets all of them at once.
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
})
export const historyQuerySchema = z.strictObject({
  kind: z.enum(documentKindNames).optional(),
  name: z.string().max(253).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.uuid().optional(),
})

export const rollbackSchema = z.strictObject({
  to: z.uuid().meta({ description: 'A change (GET /v1/documents/history): the set becomes what it was right after it.' }),
  reason: z.string().trim().min(3).max(1000),
  dry_run: z.boolean().optional(),
})

export type DocumentsQuery = z.infer<typeof documentsQuerySchema>

export interface DocumentChange {
  readonly kind: string
  readonly name: string
  readonly action: 'create' | 'update' | 'delete' | 'unchanged'
  readonly diff: string
}

export interface ApplyReply {
  readonly changes: readonly DocumentChange[]
  readonly tests: readonly PolicyTestResult[]
  readonly warnings: readonly { readonly path: string; readonly line?: number; readonly message: string }[]
  readonly applied: boolean
  /** Digest of the whole set as it is after this call. */
  readonly version: string
}

export interface DocumentItem {
  readonly kind: string
  readonly name: string
  readonly version: number
  readonly text: string
  readonly labels: unknown
  readonly author: string
  readonly updated_at: string
}
