import { given, ok, once } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, durationSeconds } from '../context.js'
import { usageError } from '../errors.js'
import { everything, listed } from '../http/control-plane.js'
import { asFields, asList, asText, text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import { fields, type Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'NAME', value: (item) => text(item, 'name') },
  { title: 'KIND', value: (item) => text(item, 'kind') },
  { title: 'STATE', value: (item) => text(item, 'state') || (item['connected'] === true ? 'connected' : 'away') },
  { title: 'LAST SEEN', value: (item) => shortTime(text(item, 'last_seen_at') || text(item, 'connected_at')) },
  { title: 'VERSION', value: (item) => text(item, 'version') },
  { title: 'LABELS', value: (item) => labels(item['labels']) },
  { title: 'GATEWAYS', value: (item) => asList(item['gateways']).map((link) => text(link, 'gateway') + (link['draining'] === true ? ' (draining)' : '')).join(', ') },
]

export function registerAgents(program: Command): void {
  const agents = program.command('agents').description('agents and gateways that are enrolled')

  agents.command('list').description('by name, with what is connected now').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    const items = await listed(everything, (page) => ok(api.rest.GET('/v1/agents', { params: { query: given(page) } })))
    printer.list(items, columns, 'None is enrolled. `sallyport agents token NAME` makes a token to enrol one.')
  })

  agents.command('token')
    .description('a one-time token with which an agent or gateway enrols')
    .argument('<name>', 'what the node will be called')
    .option('--kind <kind>', 'agent or gateway', 'agent')
    .option('--label <key=value...>', 'labels; targets choose their agents by them')
    .option('--ttl <duration>', 'how long it can be used, like 1h', durationSeconds)
    .action(async (name: string, options: { kind: string; label?: string[]; ttl?: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      if (options.kind !== 'agent' && options.kind !== 'gateway') throw usageError(`--kind is agent or gateway, not '${options.kind}'`)
      const answer = await ok(
        api.rest.POST('/v1/agents/tokens', {
          body: { name, kind: options.kind, labels: readLabels(options.label ?? []), ...given({ ttl_seconds: options.ttl }) },
          headers: once(),
        }),
      )
      printer.result(answer, () =>
        fields([
          ['token', text(answer, 'token')],
          ['expires', shortTime(text(answer, 'expires_at'))],
          ['next', `put it in a file that only the ${options.kind} can read and set SALLYPORT_ENROLMENT_TOKEN_FILE; it works once`],
        ]),
      )
    })

  agents.command('revoke')
    .description('never let this node in again; its sessions end')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.POST('/v1/agents/{id}/revoke', { params: { path: { id } } }))
      printer.result({ id, revoked: true }, () => visible(`Node ${id} is revoked.`))
    })
}

function readLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw usageError(`'${pair}' is no label`, 'write it like --label site=berlin')
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

function labels(value: unknown): string {
  return Object.entries(asFields(value)).map(([key, entry]) => `${key}=${asText(entry)}`).join(' ')
}
