import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const eventReply = z
  .object({
    position: z.string().meta({ description: 'In the chain: a whole number, as text.' }),
    id: z.string(),
    time: z.string().meta({ description: 'UTC with microseconds, by the clock of its source.' }),
    received_at: z.string(),
    source: z.string().meta({ description: '`agent:<node id>` or `control-plane`.' }),
    seq: z.string().optional(),
    kind: z.string(),
    session: z.uuid().optional(),
    command: z.int().optional(),
    who: z.string().optional(),
    target: z.string().optional(),
    actions: z.array(z.string()),
    objects: z.array(z.string()),
    decision: z.string().optional(),
    rule: z.string().optional(),
    hash: z.string(),
    event: z.unknown().meta({ description: 'As its source wrote it: docs/audit.md.' }),
    claims: z.unknown().optional(),
    identity: z.unknown().optional(),
  })
  .meta({ id: 'Event' })

const badRecordReply = z.object({ position: z.string(), problem: z.string(), session: z.string().optional(), source: z.string().optional() }).meta({ id: 'BadRecord' })

export const verificationReply = z
  .object({
    ok: z.boolean(),
    checked: z.int(),
    deleted: z.int().meta({ description: 'Records that retention deleted; tombstones stand for them.' }),
    sessions: z.object({ signed: z.int(), lost: z.int(), open: z.int(), broken: z.int(), gaps: z.int() }),
    head: z.object({ position: z.string(), hash: z.string() }).meta({ description: 'End of what was checked. Keep it: a later run must contain it.' }),
    checkpoints: z.int(),
    first_bad: badRecordReply.optional(),
    problems: z.array(badRecordReply),
  })
  .meta({ id: 'Verification' })

export const keysReply = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) }).meta({ id: 'PublicKeys' })
export const checkpointReply = z.object({ note: z.string() }).meta({ id: 'Checkpoint' })
export const consistencyReply = z.object({ note: z.string(), proof: z.array(z.string()) }).meta({ id: 'ConsistencyProof' })

export const savedSearchReply = z
  .object({ owner: z.string(), mine: z.boolean(), name: z.string(), shared: z.boolean(), query: z.record(z.string(), z.unknown()), updated_at: instantField })
  .meta({ id: 'SavedSearch' })
