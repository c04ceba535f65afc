import { parsePublicKeyLine, SshKeyError } from '@sallyport/ssh-keys'
import { z } from 'zod'
import { credentialTtl } from './credentials.service.js'

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const issuedTokenType = 'urn:sallyport:params:oauth:token-type:jit-credential'

export const ttlSecondsField = z.coerce.number().int().min(1).max(credentialTtl.maxSeconds).default(credentialTtl.defaultSeconds)
/** Form bodies carry text only. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]).default(false)

/** The line of a `.pub` file. */
export const publicKeyField = z
  .string()
  .max(16 * 1024)
  .transform((line, context) => {
    try {
      return parsePublicKeyLine(line)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof SshKeyError ? error.message : 'is not an OpenSSH public key' })
      return z.NEVER
    }
  })
  .meta({ description: 'The SSH public key that the credential is bound to, as in a .pub file; without effect for targets of protocols without keys. Only a proof of this key logs in then: the answer has key_fingerprint.' })

/** RFC 8693, section 2.1. Members that we don't use are ignored, as the RFC asks of a server. */
export const exchangeSchema = z.object({
  grant_type: z.literal(exchangeGrant, { error: `must be ${exchangeGrant}` }),
  subject_token: z.string().min(1).max(16 * 1024),
  subject_token_type: z.enum(['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:id_token'], {
    error: 'must be urn:ietf:params:oauth:token-type:jwt or …:id_token',
  }),
  audience: z.string({ error: 'must be the name of a target' }).min(1).max(253),
  ttl_seconds: ttlSecondsField,
  single_use: flag,
  public_key: publicKeyField.optional(),
})

export const issueSchema = z.strictObject({ target: z.string().min(1).max(253), ttl_seconds: ttlSecondsField, single_use: flag, public_key: publicKeyField.optional() })
export type IssueBody = z.infer<typeof issueSchema>

export const listSchema = z.strictObject({
  identity: z.string().max(253).optional(),
  target: z.string().max(253).optional(),
  state: z.enum(['live', 'used', 'revoked', 'expired']).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.uuid().optional(),
})
export type ListQuery = z.infer<typeof listSchema>
