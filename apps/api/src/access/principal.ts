export type Role = 'admin' | 'auditor' | 'reviewer' | 'operator' | 'member'

/** A signed-in user, as its User document and the Group documents are at this moment. */
export interface Principal {
  readonly user: string
  readonly roles: readonly Role[]
  readonly groups: readonly string[]
  /** The API token that it came with. */
  readonly tokenId: string
}
