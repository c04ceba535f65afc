import { z } from 'zod'
import { ActionIndex } from '../action-tree.js'
import { detectorNames } from '../detectors/names.js'
import { defaultLimits, documentLimits } from '../limits.js'
import type { AuditMode, Mask, Rule } from '../rule.js'
import { approversField } from './approvers.js'
import type { DocumentContext } from './context.js'
import {
  argvField,
  columnPatternField,
  durationField,
  exactlyOne,
  labelsField,
  nameField,
  oneOrMany,
  patternField,
  re2Field,
  refuse,
  sizeField,
  suggestFor,
  textField,
  wordField,
  type Refusals,
} from './fields.js'

/** A rule as its document has it: without the policy's name and its own position. */
export type PolicyRule = Omit<Rule, 'policy' | 'index'>
export type PolicyMask = Omit<Mask, 'policy' | 'index'>

const subject = z
  .strictObject({
    workload: nameField.optional().meta({ description: 'A workload, by name.' }),
    user: nameField.optional().meta({ description: 'A user, by name.' }),
    group: nameField.optional().meta({ description: 'Everybody in a group.' }),
  })
  .superRefine((value, context) => exactlyOne(value, ['workload', 'user', 'group'], context, 'a subject'))
  .transform(({ workload, user, group }): PolicySubject =>
    workload !== undefined
      ? { kind: 'workload', name: workload }
      : user !== undefined
        ? { kind: 'user', name: user }
        : { kind: 'group', name: group ?? '' },
  )

export interface PolicySubject {
  readonly kind: 'workload' | 'user' | 'group'
  readonly name: string
}

const targets = z
  .strictObject({
    names: z.array(textField).min(1).optional().meta({ description: 'Target names; `*` in a name is a wildcard.' }),
    labels: labelsField.optional().meta({ description: 'Labels that the target must have, all of them.' }),
    protocol: textField.optional().meta({ description: 'The protocol that the target must speak.' }),
  })
  .superRefine((value, context) => {
    const labels = Object.keys(value.labels ?? {}).length
    if (!value.names && labels === 0 && value.protocol === undefined)
      refuse(context, 'must say which targets: names, labels or protocol (names: ["*"] means all)')
  })
  .transform(({ names, labels, protocol }): PolicyTargets => ({
    names: names ?? ['*'],
    labels: labels ?? {},
    ...(protocol === undefined ? {} : { protocol }),
  }))

export interface PolicyTargets {
  readonly names: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly protocol?: string
}

const session = z
  .strictObject({
    ttl: durationField(1, documentLimits.ttl_max_seconds).optional().meta({ description: 'Longest life of a session. Default 1h.' }),
    idle: durationField(1, documentLimits.ttl_max_seconds)
      .optional()
      .meta({ description: 'A session that does nothing for so long is ended. Default 15m.' }),
    audit: wordField(['spooled', 'strict', 'best_effort']).optional().meta({
      description:
        '`spooled`: recorded on the agent before the command runs. `strict`: durable in the control plane first, and so is its result before the client sees it. `best_effort`: allowed commands go on when the agent can record nothing, and a `gap` event says which; it holds only when every matching policy names it. Default spooled.',
    }),
    recordResults: sizeField(documentLimits.record_result_max_bytes)
      .optional()
      .meta({ description: 'Masked result kept per command for replay; 0 keeps none. Default 8KiB.' }),
    recordTerminal: sizeField(documentLimits.record_terminal_max_bytes)
      .optional()
      .meta({ description: 'Masked output recorded per command that runs in a terminal (SSH); 0 records none. Default 4MiB.' }),
    recordInput: z.boolean().optional().meta({
      description:
        'Record what is typed at a terminal as well. Passwords typed at a prompt are then in the recording. Default false; recorded only when no matching policy says false.',
    }),
    recordParameters: z.boolean().optional().meta({
      description:
        'Record the values that are bound to a command (parameters of a prepared statement). With false, records say only how many there were, and errors of the target only their code; reviewers of a held command see them until it is decided. Default true; recorded only when no matching policy says false.',
    }),
    recordStatements: wordField(['full', 'normalised', 'digest']).optional().meta({
      description:
        '`normalised`: records hold the text of commands without its values (SQL: each literal is `?`, comments go; SSH: programs without arguments; Kubernetes: method and path). `digest`: no text, but the digest of the exact command. Both leave out parameters, reasons, the protocol’s facts and the target’s errors, and record no terminals, which show what is typed. Objects stay. Reviewers of a held command see all of it until it is decided. Of several matching policies the one that keeps least counts. Default full.',
    }),
  })
  .transform(({ ttl, idle, audit, recordResults, recordTerminal, recordInput, recordParameters, recordStatements }): PolicySession => ({
    ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
    ...(idle === undefined ? {} : { idle_seconds: idle }),
    ...(audit === undefined ? {} : { audit }),
    ...(recordResults === undefined ? {} : { record_result_bytes: recordResults }),
    ...(recordTerminal === undefined ? {} : { record_terminal_bytes: recordTerminal }),
    ...(recordInput === undefined ? {} : { record_input: recordInput }),
    ...(recordParameters === undefined ? {} : { record_parameters: recordParameters }),
    ...(recordStatements === undefined || recordStatements === 'full' ? {} : { record_statements: recordStatements }),
  }))

/** What one policy asks for; what it leaves out is left to others or to the defaults. */
export interface PolicySession {
  readonly ttl_seconds?: number
  readonly idle_seconds?: number
  readonly audit?: AuditMode
  readonly record_result_bytes?: number
  readonly record_terminal_bytes?: number
  readonly record_input?: boolean
  readonly record_parameters?: boolean
  readonly record_statements?: 'normalised' | 'digest'
}

const mask = z
  .strictObject({
    columns: oneOrMany(columnPatternField, 'column pattern')
      .optional()
      .meta({ description: 'Columns by origin: `schema.table.column`, each segment a glob.', title: 'pattern or list' }),
    names: oneOrMany(textField, 'name')
      .optional()
      .meta({ description: 'Columns by name (glob, without regard to case), wherever they come from.', title: 'glob or list' }),
    detect: oneOrMany(wordField(detectorNames), 'detector')
      .optional()
      .meta({ description: 'Content: built-in detectors or groups of them, see below.', title: 'detector or list' }),
    // YAML reads a bare null as nothing at all; here it is the method.
    with: z
      .union([wordField(['redact', 'partial', 'null', 'hash']), z.null()], { error: 'must be one of: redact, partial, null, hash' })
      .transform((method) => method ?? 'null')
      .meta({ description: 'How the value is replaced.', title: '`redact`, `partial`, `null`, `hash`' }),
  })
  .superRefine((value, context) => {
    if (!value.columns && !value.names && !value.detect) refuse(context, 'a mask needs columns, names or detect')
    if (value.detect && value.with === 'null')
      refuse(context, 'a detector replaces a part of a value, so "null" has no meaning for it: use redact, partial or hash', {
        path: ['with'],
      })
  })
  .transform(({ columns, names, detect, with: method }): PolicyMask => ({
    with: method,
    ...(columns === undefined ? {} : { columns }),
    ...(names === undefined ? {} : { names }),
    ...(detect === undefined ? {} : { detect }),
  }))

const test = z
  .strictObject({
    as: nameField.meta({ description: 'Workload or user that asks.' }),
    run: z.string().max(65_536).meta({ description: 'The command.' }),
    expect: wordField(['allow', 'deny', 'hold']).meta({ description: 'The decision it must come to.' }),
    target: nameField.optional().meta({ description: 'On which target. Default: each that the policy selects.' }),
  })
  .transform(({ target, ...rest }) => ({ ...rest, ...(target === undefined ? {} : { target }) }))

function ruleSchema(action: z.ZodType<string>) {
  const actions = oneOrMany(action, 'action')
  return z
    .strictObject({
      allow: actions.optional().meta({ description: 'Actions that this rule permits.', title: 'action or list' }),
      deny: actions.optional().meta({ description: 'Actions that this rule forbids; beats every other rule.', title: 'action or list' }),
      hold: actions.optional().meta({ description: 'Actions that wait for approval; beats allow.', title: 'action or list' }),
      on: oneOrMany(patternField, 'resource pattern')
        .optional()
        .meta({ description: 'Objects. Default: all, except those that must be named.', title: 'pattern or list' }),
      matching: re2Field
        .optional()
        .meta({ description: 'Only for commands whose text matches. It narrows a rule; no guarantee should rest on it.' }),
      when: z
        .record(textField, z.union([z.string(), z.number(), z.boolean()]))
        .optional()
        .meta({
          description: 'Facts that the effect must have, e.g. `missing_where: true`. An absent fact counts as false.',
          title: 'map of fact → value',
        }),
      argv: oneOrMany(argvField, 'argv pattern')
        .optional()
        .meta({
          description: 'For commands that run programs: patterns over their words, one word in each place. `*` within a word (not `/`), `**` with `/`, a last `...` for any further words.',
          title: 'argv pattern or list',
        }),
      shell: wordField(['guarded']).optional().meta({
        description: 'With a rule that permits `ssh.shell`: `guarded` has the shell decided line by line. One such rule is enough, whatever others permit.',
      }),
      interactive: z.literal(true).optional().meta({
        description: 'What the rule permits gets a terminal in a guarded shell, and what is typed while it runs. Without it a program there has no input.',
      }),
      approvers: approversField.optional().meta({ description: 'Who may approve. Needed with hold, and only there.' }),
      timeout: durationField(1, documentLimits.hold_timeout_max_seconds)
        .optional()
        .meta({ description: 'How long a held command waits. Default 30m.' }),
      reason: textField.max(500).optional().meta({ description: 'Told to the one who meets the rule.' }),
    })
    .superRefine((rule, context) => {
      exactlyOne(rule, ['allow', 'deny', 'hold'], context, 'a rule')
      if (rule.hold && !rule.approvers) refuse(context, 'a hold needs approvers: { groups: [...] }, or nobody could release it')
      if (!rule.hold && rule.approvers) refuse(context, 'only a hold has approvers', { path: ['approvers'] })
      const permitted = rule.hold ?? rule.allow ?? []
      if (rule.shell !== undefined && !(permitted.length > 0 && permitted.every((name) => name.endsWith('.shell'))))
        refuse(context, 'shell: guarded stands with a rule that permits a shell and nothing else, such as allow: ssh.shell', { path: ['shell'] })
      if (rule.deny && rule.interactive !== undefined) refuse(context, 'a deny permits nothing that could be interactive', { path: ['interactive'] })
      const asksOthers = rule.approvers?.escalate?.after_seconds
      if (asksOthers !== undefined && asksOthers >= (rule.timeout ?? defaultLimits.hold_timeout_seconds))
        refuse(context, 'escalate.after must be shorter than the timeout, or nobody would be asked in time', { path: ['approvers', 'escalate', 'after'] })
      if (!rule.hold && rule.timeout !== undefined) refuse(context, 'only a hold has a timeout', { path: ['timeout'] })
    })
    .transform(({ allow, deny, hold, on, matching, when, argv, shell, interactive, approvers: who, timeout, reason }): PolicyRule => ({
      verdict: deny ? 'deny' : hold ? 'hold' : 'allow',
      actions: deny ?? hold ?? allow ?? [],
      on: on ?? [],
      ...(matching === undefined ? {} : { matching }),
      ...(when === undefined ? {} : { when }),
      ...(argv === undefined ? {} : { argv }),
      ...(shell === undefined ? {} : { shell }),
      ...(interactive === undefined ? {} : { interactive }),
      ...(who === undefined ? {} : { approvers: who }),
      ...(timeout === undefined ? {} : { timeout_seconds: timeout }),
      ...(reason === undefined ? {} : { reason }),
    }))
}

export function policySpec(context: DocumentContext) {
  const indexes = new Map(Object.entries(context.actionTrees).map(([protocol, tree]) => [protocol, new ActionIndex(tree)]))
  const action = z
    .string()
    .superRefine((name, refusals) => {
      if (indexes.size === 0 || [...indexes.values()].some((index) => index.has(name))) return
      refuse(refusals, `unknown action "${name}"`, {
        suggestion: suggestFor(
          name,
          [...indexes.values()].flatMap((index) => [...index.names]),
        ),
      })
    })
    .meta({ title: 'action' })
  return (
    z
      .strictObject({
        subjects: z.array(subject).min(1, 'must name at least one workload, user or group').meta({ description: 'Whom it is about.' }),
        targets: targets.meta({ description: 'Which targets it is about.' }),
        session: session
          .prefault({})
          .meta({ description: 'Terms of the sessions. When several policies match, the tightest of each holds.' }),
        rules: z
          .array(ruleSchema(action))
          .prefault([])
          .meta({ description: 'deny beats hold beats allow; what nothing allows is denied.' }),
        mask: z.array(mask).prefault([]).meta({ description: 'What is rewritten in responses.' }),
        tests: z.array(test).prefault([]).meta({ description: 'Run at apply time; a policy that fails one is not applied.' }),
      })
      // A transform, because it runs only once everything below is sound.
      .transform((spec, refusals) => {
        checkProtocol(spec, indexes, refusals)
        return spec
      })
  )
}

/** With `targets.protocol` given, an action of another protocol could never apply: a mistake. */
function checkProtocol(
  spec: { readonly targets: PolicyTargets; readonly rules: readonly PolicyRule[] },
  indexes: ReadonlyMap<string, ActionIndex>,
  refusals: Refusals,
): void {
  const { protocol } = spec.targets
  if (protocol === undefined || indexes.size === 0) return
  const index = indexes.get(protocol)
  if (!index) {
    refuse(refusals, `unknown protocol "${protocol}"; known: ${[...indexes.keys()].join(', ')}`, {
      path: ['targets', 'protocol'],
      suggestion: suggestFor(protocol, indexes.keys()),
    })
    return
  }
  spec.rules.forEach((rule, position) => {
    for (const name of rule.actions) {
      if (!index.has(name))
        refuse(refusals, `${protocol} has no action "${name}"`, {
          path: ['rules', position, rule.verdict],
          suggestion: index.nearest(name),
        })
    }
  })
}
