import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const whoamiReply = z
  .object({ user: z.string(), roles: z.array(z.string()), groups: z.array(z.string()), token_id: z.string().optional(), csrf: z.string().optional().meta({ description: 'Of a sign-in: the value of the header x-sallyport-csrf that changes need.' }) })
  .meta({ id: 'WhoAmI' })

export const userReply = z
  .object({ name: z.string(), display_name: z.string().optional(), email: z.string().optional(), roles: z.array(z.string()), groups: z.array(z.string()), disabled: z.boolean(), locked: z.boolean() })
  .meta({ id: 'User' })

export const tokenReply = z
  .object({
    id: z.string(),
    user: z.string(),
    name: z.string(),
    created_at: instantField,
    expires_at: instantField.nullable(),
    revoked_at: instantField.nullable(),
    last_used_at: instantField.nullable(),
  })
  .meta({ id: 'Token' })

export const newTokenReply = z
  .object({ token: z.string().meta({ description: 'Shown this once; only its hash is kept.' }), id: z.string(), expires_at: instantField.optional() })
  .meta({ id: 'NewToken' })
