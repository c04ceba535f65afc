import { given, ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, whole } from '../context.js'
import { exitCode, usageError } from '../errors.js'
import { everything, listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const sinkColumns: readonly Column<Fields>[] = [
  { title: 'NAME', value: (sink) => text(sink, 'name') },
  { title: 'KIND', value: (sink) => text(sink, 'kind') },
  { title: 'SHAPE', value: (sink) => text(sink, 'shape') },
  { title: 'STATE', value: (sink) => text(sink, 'state') },
  { title: 'POSITION', value: (sink) => text(sink, 'position') },
  { title: 'BEHIND', value: (sink) => `${text(sink, 'lag_records')} (${text(sink, 'lag_seconds')}s)` },
  { title: 'SENT', value: (sink) => text(sink, 'sent') },
  { title: 'DEAD LETTERS', value: (sink) => text(sink, 'dead_letters') },
  { title: 'LAST ERROR', value: (sink) => (text(sink, 'state') === 'failing' ? text(sink, 'last_error') : '') },
]

const letterColumns: readonly Column<Fields>[] = [
  { title: 'POSITION', value: (letter) => text(letter, 'position') },
  { title: 'CODE', value: (letter) => text(letter, 'code') },
  { title: 'TRIES', value: (letter) => text(letter, 'attempts') },
  { title: 'LAST', value: (letter) => shortTime(text(letter, 'tried_at')) },
  { title: 'STATE', value: (letter) => (letter['retrying'] === true ? 'trying again' : 'waiting') },
  { title: 'REASON', value: (letter) => text(letter, 'reason') },
]

export function registerSinks(program: Command): void {
  const sinks = program.command('sinks').description('where audit events are exported to')

  sinks.command('list').description('state, position and lag of every sink').action(async (_options: object, command: Command) => {
    const { api, printer } = contextOf(command)
    printer.list(await listed(everything, (page) => ok(api.rest.GET('/v1/sinks', { params: { query: given(page) } }))), sinkColumns, 'There is no sink. Apply a document of the kind Sink to make one.')
  })

  sinks.command('dead-letters')
    .description('events that the receiver refused, oldest first')
    .argument('<name>')
    .option('--limit <count>', 'at most so many', whole, 100)
    .action(async (name: string, { limit }: { limit: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      printer.list(await listed(limit, (page) => ok(api.rest.GET('/v1/sinks/{name}/dead-letters', { params: { path: { name }, query: given(page) } }))), letterColumns, 'No dead letters.')
    })

  sinks.command('retry')
    .description('send dead letters again')
    .argument('<name>')
    .argument('[position...]', 'which ones')
    .option('--all', 'all of them')
    .action(async (name: string, positions: string[], { all }: { all?: boolean }, command: Command) => {
      const { api, printer } = contextOf(command)
      if ((all === true) === positions.length > 0) throw usageError('name positions, or say --all', '`sallyport sinks dead-letters NAME` lists them')
      const answer = await ok(api.rest.POST('/v1/sinks/{name}/dead-letters/retry', { params: { path: { name } }, body: all === true ? {} : { positions } }))
      printer.result(answer, () => visible(`${text(answer, 'retrying')} dead letters are being sent again.`))
    })

  sinks.command('test')
    .description('send a made-up event; exit code 1 when it is not acknowledged')
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.slow.POST('/v1/sinks/{name}/test', { params: { path: { name } } }))
      if (!answer.ok) process.exitCode = exitCode.error
      printer.result(answer, () =>
        visible(answer.ok ? `The receiver acknowledged the event ${text(answer, 'event_id')}.` : `Not acknowledged: ${text(answer, 'code')}: ${text(answer, 'reason')}`),
      )
    })
}
