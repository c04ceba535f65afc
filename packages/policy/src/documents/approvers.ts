import { z } from 'zod'
import { documentLimits } from '../limits.js'
import { rememberScopes, type Approvers, type EscalateTerms, type RememberTerms } from '../rule.js'
import { durationField, nameField, wordField } from './fields.js'

const groupsField = z.array(nameField).min(1, 'must name at least one group').max(50)

const remember = z
  .strictObject({
    scope: wordField(rememberScopes).meta({
      description: '`session`: what else meets the same rules in the same session. `command`: exactly the same command and parameters again, on the same target, in any session of the same identity.',
    }),
    for: durationField(1, documentLimits.remember_max_seconds).meta({ description: 'For how long at most.' }),
  })
  .transform(({ scope, for: seconds }): RememberTerms => ({ scope, for_seconds: seconds }))

const escalate = z
  .strictObject({
    after: durationField(1, documentLimits.hold_timeout_max_seconds).meta({ description: 'After so long without a decision.' }),
    to: z.strictObject({ groups: groupsField.meta({ description: 'Members of these groups may approve then, too.' }) }).meta({ description: 'Who else is asked.' }),
  })
  .transform(({ after, to }): EscalateTerms => ({ after_seconds: after, groups: to.groups }))

/** Who decides what a rule holds, and how. */
export const approversField = z
  .strictObject({
    groups: groupsField.meta({ description: 'Members of any of these groups may approve.' }),
    quorum: z.number().int().min(1).max(20).prefault(1).meta({ description: 'How many distinct people must approve.' }),
    separate: z.boolean().prefault(false).meta({
      description: 'Where several rules hold a command, nobody counts for more than one of them, whatever groups they are in. One rule that says so is enough.',
    }),
    remember: remember.optional().meta({
      description: 'Reviewers may let an approval stand for what comes next. Nobody has to, and commands that can’t be analysed are never covered.',
    }),
    escalate: escalate.optional().meta({ description: 'Asks others as well when nobody has decided in time.' }),
  })
  .transform(({ groups, quorum, separate, remember: remembered, escalate: escalated }): Approvers => ({
    groups,
    quorum,
    ...(separate ? { separate } : {}),
    ...(remembered === undefined ? {} : { remember: remembered }),
    ...(escalated === undefined ? {} : { escalate: escalated }),
  }))
