import { given, ok } from '@sallyport/api-client'
import { Option, type Command } from 'commander'
import { contextOf, whole } from '../context.js'
import { listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'STATE', value: (item) => text(item, 'state') },
  { title: 'WHO', value: (item) => text(item, 'identity.name') || text(item, 'identity') },
  { title: 'TARGET', value: (item) => text(item, 'target.name') || text(item, 'target') },
  { title: 'ISSUED', value: (item) => shortTime(text(item, 'created_at')) },
  { title: 'EXPIRES', value: (item) => shortTime(text(item, 'expires_at')) },
  { title: 'SINGLE USE', value: (item) => (item['single_use'] === true ? 'yes' : 'no') },
  { title: 'USED', value: (item) => shortTime(text(item, 'used_at')) },
]

const states = ['live', 'used', 'revoked', 'expired'] as const

export function registerCredentials(program: Command): void {
  const credentials = program.command('credentials').description('short-lived credentials that were issued')

  credentials.command('list')
    .description('newest first: yours; all of them for auditors and admins')
    .option('--identity <name>')
    .option('--target <name>')
    .addOption(new Option('--state <state>').choices(states))
    .option('--limit <count>', 'at most so many', whole, 100)
    .action(async ({ limit, identity, target, state }: { limit: number; identity?: string; target?: string; state?: (typeof states)[number] }, command: Command) => {
      const { api, printer } = contextOf(command)
      const items = await listed(limit, (page) => ok(api.rest.GET('/v1/credentials', { params: { query: given({ identity, target, state, ...page }) } })))
      printer.list(items, columns, 'No credentials.')
    })

  credentials.command('revoke')
    .description('end a credential and every live session that it opened')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.DELETE('/v1/credentials/{id}', { params: { path: { id } } }))
      printer.result({ id, revoked: true }, () => visible(`Credential ${id} is revoked; its sessions end.`))
    })
}
