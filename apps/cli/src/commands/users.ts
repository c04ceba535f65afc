import { given, ok, once } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, durationSeconds } from '../context.js'
import { everything, listed } from '../http/control-plane.js'
import { asTexts, text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import { fields, table, type Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const columns: readonly Column<Fields>[] = [
  { title: 'NAME', value: (item) => text(item, 'name') },
  { title: 'DISPLAY NAME', value: (item) => text(item, 'display_name') || text(item, 'displayName') },
  { title: 'EMAIL', value: (item) => text(item, 'email') },
  { title: 'ROLES', value: (item) => asTexts(item['roles']).join(', ') },
  { title: 'GROUPS', value: (item) => asTexts(item['groups']).join(', ') },
  { title: 'STATE', value: (item) => (item['disabled'] === true ? 'disabled' : 'active') },
]

const tokenColumns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'USER', value: (item) => text(item, 'user') },
  { title: 'NAME', value: (item) => text(item, 'name') },
  { title: 'EXPIRES', value: (item) => shortTime(text(item, 'expires_at')) || 'never' },
  { title: 'LAST USED', value: (item) => shortTime(text(item, 'last_used_at')) },
  { title: 'REVOKED', value: (item) => shortTime(text(item, 'revoked_at')) },
]

export function registerUsers(program: Command): void {
  program.command('users').description('people').command('list').description('roles and groups of everyone (auditors)').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    const items = await listed(everything, (page) => ok(api.rest.GET('/v1/users', { params: { query: given(page) } })))
    printer.list(items, columns, 'No users.')
  })

  const tokens = program.command('tokens').description("API tokens of users")
  tokens.command('list').description('yours; as an admin all').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    const items = await listed(everything, (page) => ok(api.rest.GET('/v1/tokens', { params: { query: given(page) } })))
    printer.result(items, () => (items.length === 0 ? 'No tokens.' : table(tokenColumns, items, printer.width)))
  })
  tokens.command('create')
    .description('an API token; it is shown this once')
    .argument('<user>')
    .requiredOption('--name <text>', 'what it is for')
    .option('--ttl <duration>', 'how long it lives, like 720h', durationSeconds)
    .action(async (user: string, options: { name: string; ttl?: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.POST('/v1/tokens', { body: { user, name: options.name, ...given({ ttl_seconds: options.ttl }) }, headers: once() }))
      printer.result(answer, () =>
        fields([
          ['token', text(answer, 'token')],
          ['id', text(answer, 'id')],
          ['expires', shortTime(text(answer, 'expires_at'))],
        ]),
      )
    })
  tokens.command('revoke').description('end an API token: yours; as an admin any').argument('<id>').action(async (id: string, _options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    await ok(api.rest.DELETE('/v1/tokens/{id}', { params: { path: { id } } }))
    printer.result({ id, revoked: true }, () => visible(`Token ${id} is revoked.`))
  })

  program.command('whoami').description('who the API token belongs to').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    const me = await ok(api.rest.GET('/v1/whoami'))
    printer.result(me, () =>
      fields([
        ['name', text(me, 'user')],
        ['roles', asTexts(me['roles']).join(', ')],
        ['groups', asTexts(me['groups']).join(', ')],
        ['control plane', api.url],
      ]),
    )
  })
}
