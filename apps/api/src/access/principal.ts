import type { roles } from '@sallyport/policy'

export type Role = (typeof roles)[number]

/** What a request proved who sends it with. */
export type Proof = { readonly kind: 'token'; readonly id: string } | { readonly kind: 'session'; readonly id: string; readonly csrf: string }

/** A signed-in user, as documents and accounts are at this moment. */
export interface Principal {
  readonly user: string
  readonly roles: readonly Role[]
  readonly groups: readonly string[]
  readonly proof: Proof
}
