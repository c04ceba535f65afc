import { given, ok, once } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, instant } from '../context.js'
import { everything, listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const dueColumns: readonly Column<Fields>[] = [
  { title: 'CLASS', value: (item) => text(item, 'class') },
  { title: 'DOCUMENT', value: (item) => text(item, 'document') },
  { title: 'EVENTS', value: (item) => text(item, 'events') },
  { title: 'BYTES', value: (item) => text(item, 'bytes') },
]

const holdColumns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'HELD', value: (item) => held(item) },
  { title: 'REASON', value: (item) => text(item, 'reason') },
  { title: 'SINCE', value: (item) => `${shortTime(text(item, 'created_at'))} by ${text(item, 'created_by')}` },
  { title: 'RELEASED', value: (item) => (text(item, 'released_at') === '' ? '' : `${shortTime(text(item, 'released_at'))} by ${text(item, 'released_by')}`) },
]

interface HoldOptions {
  readonly reason: string
  readonly session?: string
  readonly identity?: string
  readonly target?: string
  readonly from?: string
  readonly to?: string
}

/** `audit retention` and `audit hold`. */
export function registerRetention(audit: Command): void {
  audit.command('retention')
    .description('what Retention documents no longer keep')
    .option('--run', 'delete it now instead of within the hour (admins)')
    .action(async ({ run }: { readonly run?: true }, command: Command) => {
      const { api, printer } = contextOf(command)
      const { items } = await ok(run === true ? api.slow.POST('/v1/audit/retention/run') : api.slow.GET('/v1/audit/retention'))
      printer.list(items, dueColumns, 'Nothing. What is kept for how long is said by a document of kind Retention: docs/audit.md')
    })

  const hold = audit.command('hold').description('legal holds: what fits is not deleted until the hold is released')

  hold.command('list')
    .description('newest first, also released ones')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      printer.list(await listed(everything, (page) => ok(api.rest.GET('/v1/audit/holds', { params: { query: given(page) } }))), holdColumns, 'No legal holds.')
    })

  hold.command('add')
    .description('hold what fits all that is given (admins)')
    .requiredOption('--reason <text>')
    .option('--session <id>')
    .option('--identity <name>')
    .option('--target <name>')
    .option('--from <time>', 'RFC 3339, or a duration back from now like 2h', instant)
    .option('--to <time>', 'RFC 3339, or a duration back from now', instant)
    .action(async ({ reason, session, identity, target, from, to }: HoldOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.POST('/v1/audit/holds', { body: { reason, ...given({ session, identity, target, from, to }) }, headers: once() }))
      printer.result(answer, () => visible(`Held: ${text(answer, 'id')}`))
    })

  hold.command('release')
    .description('what it held may be deleted again (admins)')
    .argument('<id>')
    .requiredOption('--reason <text>')
    .action(async (id: string, { reason }: { readonly reason: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.POST('/v1/audit/holds/{id}/release', { params: { path: { id } }, body: { reason } }))
      printer.result({ id, released: true }, () => 'Released.')
    })
}

function held(item: Fields): string {
  return ['session', 'identity', 'target', 'from', 'to'].flatMap((name) => (text(item, name) === '' ? [] : [`${name}=${text(item, name)}`])).join(' ')
}
