import { z } from 'zod'
import { refuse, sizeField } from './fields.js'

/**
 * Kinds of events by class. What isn't here is kept for ever, because verification needs it or because it is what a deletion
 * would hide: enrolments and keys, signatures, checkpoints, alerts, deletions themselves.
 */
export const retentionClasses = {
  recordings: ['recording'],
  commands: ['command', 'command.held', 'command.released', 'command.end', 'gap'],
  approvals: [
    'approval.requested', 'approval.voted', 'approval.decided', 'approval.escalated', 'approval.commented', 'approval.remembered', 'approval.reused', 'approval.forgotten',
  ],
  sessions: ['session.opened', 'session.start', 'session.end', 'session.refused', 'session.killed', 'session.lost', 'session.viewed'],
  logins: ['auth.succeeded', 'auth.failed', 'credential.issued', 'credential.revoked'],
  changes: ['document.applied', 'token.created', 'token.revoked', 'search.saved', 'search.deleted', 'audit.exported', 'sink.failing', 'sink.recovered', 'sink.dead_letter', 'sink.retried', 'sink.tested'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type RetentionClass = keyof typeof retentionClasses
const classNames = ['recordings', 'commands', 'approvals', 'sessions', 'logins', 'changes'] as const satisfies readonly RetentionClass[]

const maxSize = 2 ** 50

const rule = z
  .strictObject({
    class: z.enum(classNames).meta({ description: 'What it is about.' }),
    keepDays: z.number().int().min(1).max(36_500).optional().meta({ description: 'Deleted so many days after it was received.' }),
    keepAtMost: sizeField(maxSize).optional().meta({ description: 'Above this size of the class, the oldest is deleted.' }),
  })
  .superRefine((spec, context) => {
    if (spec.keepDays === undefined && spec.keepAtMost === undefined) refuse(context, 'needs keepDays, keepAtMost or both')
  })

export const retentionSpec = z
  .strictObject({
    rules: z.array(rule).min(1).max(classNames.length).meta({ description: 'One for each class that isn’t kept for ever.' }),
  })
  .superRefine(({ rules }, context) => {
    const seen = new Set<string>()
    for (const [index, { class: name }] of rules.entries()) {
      if (seen.has(name)) refuse(context, `there are two rules for ${name}`, { path: ['rules', index] })
      seen.add(name)
    }
  })

export type RetentionSpec = z.infer<typeof retentionSpec>
