import { z } from 'zod'
import { instantField } from '../openapi/reply.js'
import { connectionReply } from '../targets/targets.replies.js'
import { issuedTokenType } from './credentials.dto.js'

/** Members of every answer that hands out a credential. */
export const issuedFields = {
  access_token: z.string().meta({ description: 'The secret. Shown this once; only a verifier of it is kept.' }),
  expires_in: z.int().meta({ description: 'Seconds.' }),
  credential_id: z.uuid(),
  target: z.object({ name: z.string(), protocol: z.string() }),
  username: z.string(),
  key_fingerprint: z.string().optional(),
  connection: connectionReply,
}

export const issuedReply = z.object({ ...issuedFields, issued_token_type: z.literal(issuedTokenType), token_type: z.literal('N_A') }).meta({ id: 'IssuedCredential' })

export const credentialReply = z
  .object({
    id: z.uuid(),
    identity: z.object({ kind: z.enum(['user', 'workload']), name: z.string() }),
    target: z.string(),
    created_at: instantField,
    expires_at: instantField,
    single_use: z.boolean(),
    key_fingerprint: z.string().optional(),
    serial: z.string().optional(),
    used_at: instantField.nullable(),
    revoked_at: instantField.nullable(),
    state: z.enum(['live', 'used', 'revoked', 'expired']),
  })
  .meta({ id: 'Credential' })

/** RFC 6749, section 5.2. */
export const oauthErrorReply = z
  .object({ error: z.enum(['invalid_request', 'invalid_grant', 'invalid_target', 'access_denied', 'temporarily_unavailable']), error_description: z.string() })
  .meta({ id: 'OAuthError' })
