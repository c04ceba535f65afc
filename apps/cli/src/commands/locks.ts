import { given, ok, once } from '@sallyport/api-client'
import { Argument, Option, type Command } from 'commander'
import { contextOf, durationSeconds } from '../context.js'
import { everything, listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const kinds = ['user', 'workload', 'target', 'agent'] as const
type Kind = (typeof kinds)[number]

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'STATE', value: (item) => text(item, 'state') },
  { title: 'LOCKED', value: (item) => `${text(item, 'kind')} ${text(item, 'name')}` },
  { title: 'SINCE', value: (item) => shortTime(text(item, 'created_at')) },
  { title: 'UNTIL', value: (item) => shortTime(text(item, 'expires_at')) },
  { title: 'BY', value: (item) => text(item, 'by') },
  { title: 'REASON', value: (item) => text(item, 'reason') },
]

/** `sallyport locks`. */
export function registerLocks(program: Command): void {
  const locks = program.command('locks').description('shut identities, targets and agents out, at once')

  locks.command('list')
    .description('what is locked, newest first')
    .addOption(new Option('--kind <kind>').choices(kinds))
    .option('--all', 'also what was released or is over')
    .action(async ({ kind, all }: { readonly kind?: Kind; readonly all?: true }, command: Command) => {
      const { api, printer } = contextOf(command)
      const state = all === true ? ('all' as const) : undefined
      const items = await listed(everything, (page) => ok(api.rest.GET('/v1/locks', { params: { query: given({ kind, state, ...page }) } })))
      printer.list(items, columns, 'Nothing is locked.')
    })

  locks.command('add')
    .description('lock: live sessions end within two seconds, and no new ones are opened')
    .addArgument(new Argument('<kind>').choices(kinds))
    .argument('<name>')
    .requiredOption('--reason <text>', 'for those who see locks; whoever is locked out is not told')
    .option('--ttl <duration>', 'for so long; otherwise until it is released', durationSeconds)
    .action(async (kind: Kind, name: string, { reason, ttl }: { readonly reason: string; readonly ttl?: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      const lock = await ok(api.rest.POST('/v1/locks', { body: { kind, name, reason, ...given({ ttl_seconds: ttl }) }, headers: once() }))
      printer.result(lock, () => visible(`The ${kind} ${name} is locked. \`sallyport locks release ${lock.id} --reason …\` lets it in again.`))
    })

  locks.command('release')
    .argument('<id>')
    .description('release a lock')
    .requiredOption('--reason <text>')
    .action(async (id: string, { reason }: { readonly reason: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.POST('/v1/locks/{id}/release', { params: { path: { id } }, body: { reason } }))
      printer.result({ id, released: true }, () => visible(`Lock ${id} is released.`))
    })
}
