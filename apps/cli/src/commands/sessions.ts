import { given, ok } from '@sallyport/api-client'
import { Option, type Command } from 'commander'
import { contextOf, instant, whole } from '../context.js'
import { listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'
import { exportRecording } from './export-recording.js'
import { replayCommand } from './replay-command.js'
import { sessionHead } from './session-head.js'
import { watchCommand } from './watch-command.js'

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'STATE', value: (item) => text(item, 'state') },
  { title: 'STARTED', value: (item) => shortTime(text(item, 'started_at') || text(item, 'created_at')) },
  { title: 'WHO', value: (item) => text(item, 'identity.name') || text(item, 'identity') },
  { title: 'TARGET', value: (item) => text(item, 'target.name') || text(item, 'target') },
  { title: 'COMMANDS', value: (item) => text(item, 'commands') || text(item, 'counts.commands') },
  { title: 'ENDED', value: (item) => text(item, 'end_reason') || text(item, 'reason') },
]

export function registerSessions(program: Command): void {
  const sessions = program.command('sessions').description('see, replay and end sessions')

  sessions.command('list')
    .description('newest first: yours; all of them for operators, auditors and admins')
    .option('--identity <name>')
    .option('--target <name>')
    .addOption(new Option('--state <state>').choices(['live', 'ended']))
    .option('--since <time>', 'RFC 3339, or a duration back from now like 2h', instant)
    .option('--limit <count>', 'at most so many', whole, 50)
    .action(async ({ limit, identity, target, state, since }: { limit: number; identity?: string; target?: string; state?: 'live' | 'ended'; since?: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      const items = await listed(limit, (page) => ok(api.rest.GET('/v1/sessions', { params: { query: given({ identity, target, state, since, ...page }) } })))
      printer.list(items, columns, 'No sessions.')
    })

  sessions.command('show')
    .description('who, when, what: the head of one session')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const session = await ok(api.rest.GET('/v1/sessions/{id}', { params: { path: { id } } }))
      printer.result(session, () => sessionHead(session))
    })

  replayCommand(sessions)
  watchCommand(sessions)
  exportRecording(sessions)

  sessions.command('kill')
    .description('end a live session now')
    .argument('<id>')
    .requiredOption('--reason <text>', 'why, for the record and the one who is cut off')
    .action(async (id: string, options: { reason: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.POST('/v1/sessions/{id}/kill', { params: { path: { id } }, body: { reason: options.reason } }))
      printer.result({ id, killed: true }, () => visible(`Session ${id} is ended.`))
    })
}
