import { given, ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf } from '../context.js'
import { everything, listed } from '../http/control-plane.js'
import { asFields, asText, text, type Fields } from '../http/record.js'
import type { Column } from '../output/table.js'

const columns: readonly Column<Fields>[] = [
  { title: 'NAME', value: (item) => text(item, 'name') },
  { title: 'PROTOCOL', value: (item) => text(item, 'protocol') },
  { title: 'LABELS', value: (item) => Object.entries(asFields(item['labels'])).map(([key, value]) => `${key}=${asText(value)}`).join(' ') },
]

export function registerTargets(program: Command): void {
  program.command('targets').description('what can be reached').command('list').description('names, protocols and labels').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    const items = await listed(everything, (page) => ok(api.rest.GET('/v1/targets', { params: { query: given(page) } })))
    printer.list(items, columns, 'No targets. Apply a Target document: sallyport apply -f FILE')
  })
}
