import { z } from 'zod'
import { pageQuery } from '../openapi/paging.js'

export const usersQuerySchema = pageQuery.extend({ group: z.string().max(253).optional(), role: z.string().max(63).optional() })
export type UsersQuery = z.infer<typeof usersQuerySchema>

export const tokensQuerySchema = pageQuery.extend({ user: z.string().max(253).optional() })
export type TokensQuery = z.infer<typeof tokensQuerySchema>

export const createTokenSchema = z.strictObject({
  user: z.string().min(1).max(253),
  name: z.string().min(1).max(100),
  /** Seconds; at most a year. Without it the token lives until it is revoked. */
  ttl_seconds: z.number().int().min(60).max(31_536_000).optional(),
})
export type CreateToken = z.infer<typeof createTokenSchema>

export interface TokenReply {
  readonly token: string
  readonly id: string
  readonly expires_at?: string
}

export interface TokenItem {
  readonly id: string
  readonly user: string
  readonly name: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly revoked_at: string | null
  readonly last_used_at: string | null
}

export interface UserItem {
  readonly name: string
  readonly display_name?: string
  readonly email?: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  readonly disabled: boolean
  readonly locked: boolean
}
