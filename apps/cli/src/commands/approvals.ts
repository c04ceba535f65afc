import { asStream, given, ok } from '@sallyport/api-client'
import { Option, type Command } from 'commander'
import { contextOf, whole } from '../context.js'
import { eventData, listed, type ControlPlane } from '../http/control-plane.js'
import { asFields, asList, asText, asTexts, text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import { fields, type Column } from '../output/table.js'
import { visible, visibleBlock } from '../output/visible.js'
import { effectLine } from './effects.js'

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'STATE', value: (item) => text(item, 'state') },
  { title: 'ASKED', value: (item) => shortTime(text(item, 'created_at')) },
  { title: 'EXPIRES', value: (item) => shortTime(text(item, 'expires_at')) },
  { title: 'WHO', value: (item) => text(item, 'identity.name') },
  { title: 'TARGET', value: (item) => text(item, 'target.name') || text(item, 'target') },
  { title: 'COMMAND', value: (item) => text(item, 'text') },
]

const states = ['pending', 'approved', 'rejected', 'expired', 'cancelled', 'all'] as const

export function registerApprovals(program: Command): void {
  const approvals = program.command('approvals').description('see and decide held commands')

  approvals.command('list')
    .description('held commands that wait (or, with --state, that ended)')
    .addOption(new Option('--state <state>').choices(states).default('pending'))
    .option('--session <id>', 'of one session')
    .option('--limit <count>', 'at most so many', whole, 100)
    .action(async (options: { state: (typeof states)[number]; session?: string; limit: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      const state = options.state === 'all' ? undefined : options.state
      const items = await listed(options.limit, (page) => ok(api.rest.GET('/v1/approvals', { params: { query: given({ state, session: options.session, ...page }) } })))
      printer.list(items, columns, 'Nothing waits.')
    })

  approvals.command('show')
    .description('everything about one held command')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const item = await ok(api.rest.GET('/v1/approvals/{id}', { params: { path: { id } } }))
      printer.result(item, () => approvalCard(item))
    })

  for (const verdict of ['approve', 'reject'] as const) {
    const decide = approvals.command(verdict).argument('<id>')
    if (verdict === 'approve') {
      decide.description('let the command run; it is bound to this exact text, parameters, target and session').option('--reason <text>', 'why, for the record')
    } else {
      decide.description("don't let it run").requiredOption('--reason <text>', 'why; the one who asked reads it')
    }
    decide.action(async (id: string, options: { reason?: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      const { reason } = options
      const path = { params: { path: { id } } }
      const item = await ok(
        verdict === 'approve'
          ? api.rest.POST('/v1/approvals/{id}/approve', { ...path, body: given({ reason }) })
          : api.rest.POST('/v1/approvals/{id}/reject', { ...path, body: { reason: reason ?? '' } }),
      )
      printer.result(item, () => outcome(item, verdict))
    })
  }

  approvals.command('watch')
    .description('print held commands as they come and as they are decided, until Ctrl-C')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      for await (const event of eventData(api.rest.GET('/v1/approvals/stream', asStream()))) {
        if (printer.format !== 'table') printer.text(visible(JSON.stringify(event)))
        else printer.text(await watchLine(api, event))
      }
    })
}

async function watchLine(api: ControlPlane, event: Fields): Promise<string> {
  const id = text(event, 'id')
  const item = await ok(api.rest.GET('/v1/approvals/{id}', { params: { path: { id } } }))
  return visible(`${shortTime(new Date().toISOString())}  ${text(event, 'state').padEnd(9)}  ${id}  ${text(item, 'identity.name')} on ${text(item, 'target.name') || text(item, 'target')}: ${text(item, 'text')}`)
}

/** What a reviewer decides on. The command stands at the end and in full: nothing may scroll what matters out of sight. */
export function approvalCard(item: Fields): string {
  const ci = asFields(item['ci'])
  const head = fields([
    ['approval', text(item, 'id')],
    ['state', text(item, 'state')],
    ['asked', shortTime(text(item, 'created_at'))],
    ['expires', shortTime(text(item, 'expires_at'))],
    ['who', `${text(item, 'identity.kind')} ${text(item, 'identity.name')}`],
    ['groups', asTexts(asFields(item['identity'])['groups']).join(', ')],
    ['target', text(item, 'target.name') || text(item, 'target')],
    ['repository', text(ci, 'repository')],
    ['ref', text(ci, 'ref')],
    ['commit', text(ci, 'commit')],
    ['run', text(ci, 'run_url')],
    ['actor', text(ci, 'actor')],
    ['workflow', text(ci, 'workflow')],
    ['session', text(item, 'session_id')],
    ['digest', text(item, 'digest')],
  ])
  const requirements = asList(item['requirements']).map((need) =>
    visible(`  ${text(need, 'quorum')} of ${asTexts(need['groups']).join(', ')} (rule ${text(need, 'rule')})`))
  const votes = asList(item['votes']).map((vote) =>
    visible(`  ${shortTime(text(vote, 'at'))}  ${text(vote, 'user')}: ${text(vote, 'verdict')}${text(vote, 'reason') === '' ? '' : ` (${text(vote, 'reason')})`}`))
  const parameters = Array.isArray(item['parameters'])
    ? item['parameters'].map((value, index) => `  $${index + 1} = ${value === null ? 'NULL' : visible(JSON.stringify(asText(value)))}`)
    : []
  return [
    head,
    section('needs', requirements),
    section('votes', votes),
    section('effects', asList(item['effects']).map(effectLine)),
    section('parameters', parameters),
    section('command', visibleBlock(text(item, 'text')).split('\n').map((line) => `  ${line}`)),
  ].filter((part) => part !== '').join('\n')
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}\n${lines.join('\n')}`
}

function outcome(item: Fields, verdict: 'approve' | 'reject'): string {
  const state = text(item, 'state')
  if (verdict === 'approve' && state === 'pending') return visible(`Your vote counts; approval ${text(item, 'id')} waits for more.`)
  return visible(`Approval ${text(item, 'id')} is ${state === '' ? `${verdict}d` : state}.`)
}
