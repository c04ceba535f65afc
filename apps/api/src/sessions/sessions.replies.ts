import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const sessionReply = z
  .object({
    id: z.uuid(),
    state: z.enum(['live', 'ended', 'killed', 'expired']),
    identity: z.object({ kind: z.enum(['user', 'workload']), name: z.string(), groups: z.array(z.string()) }),
    claims: z.record(z.string(), z.unknown()).meta({ description: "What the token's issuer said: for a CI job its repository, commit and run." }),
    actor: z.string().nullable(),
    credential_id: z.uuid().nullable(),
    target: z.string(),
    protocol: z.string(),
    agent_id: z.uuid(),
    gateway_id: z.uuid(),
    client_address: z.string(),
    parameters: z.record(z.string(), z.unknown()),
    grant_version: z.int(),
    policy_hash: z.string(),
    created_at: instantField,
    expires_at: instantField,
    lease_until: instantField,
    ended_at: instantField.nullable(),
    killed_at: instantField.nullable(),
    end_reason: z.string().nullable(),
    commands: z.int(),
  })
  .meta({ id: 'Session' })

/** `data` of the events of GET /v1/sessions/:id/watch: an event of the session, or `{"kind":"end","reason":…}` as the last. */
export const watchedReply = z
  .object({
    position: z.string().optional(),
    time: z.string().optional(),
    kind: z.string(),
    seq: z.string().optional(),
    command: z.int().optional(),
    event: z.unknown().optional(),
    reason: z.string().optional(),
  })
  .meta({ id: 'WatchedEvent' })
