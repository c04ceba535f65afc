import type { Command } from 'commander'
import { contextOf, whole } from '../context.js'
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

export function registerCredentials(program: Command): void {
  const credentials = program.command('credentials').description('short-lived credentials that were issued')

  credentials.command('list')
    .option('--identity <name>')
    .option('--target <name>')
    .option('--state <state>', 'like live, expired or revoked')
    .option('--limit <count>', 'at most so many', whole, 100)
    .action(async ({ limit, identity, target, state }: { limit: number; identity?: string; target?: string; state?: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      const items = await api.list('/v1/credentials', { identity, target, state }, limit)
      printer.list(items, columns, 'No credentials.')
    })

  credentials.command('revoke')
    .description('end a credential and every live session that it opened')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await api.call('DELETE', `/v1/credentials/${encodeURIComponent(id)}`)
      printer.result(answer, () => visible(`Credential ${id} is revoked; its sessions end.`))
    })
}
