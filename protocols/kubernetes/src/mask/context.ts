import type { CompiledMasks } from '@sallyport/policy'

/**
 * What is known of an object beside what it says itself: `secret` when it is a Secret whatever it says; `doubt` when it
 * may be one unless it says otherwise; `none` when it isn't unless it says so.
 */
export type Hint = 'none' | 'doubt' | 'secret'

/** Where a value stands, for masks by path: `configmaps/shop/app/DATABASE_URL`. `*` is unknown. */
export interface Origin {
  readonly resource: string
  readonly namespace: string
  readonly name: string
}

export const unknownOrigin: Origin = { resource: '*', namespace: '*', name: '*' }

export interface ObjectContext {
  readonly masks: CompiledMasks
  readonly maxDepth: number
  readonly origin: Origin
  /** The request is for a token: every `token` in the answer is one. */
  readonly tokens: boolean
}
