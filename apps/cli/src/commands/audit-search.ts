import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { given, ok } from '@sallyport/api-client'
import { Option, type Command } from 'commander'
import { contextOf, instant, say, whole } from '../context.js'
import { usageError } from '../errors.js'
import { asDownload, download, everything, listed, type ControlPlane } from '../http/control-plane.js'
import { asFields, asList, asText, text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'
import { gapText } from './gap.js'

const columns: readonly Column<Fields>[] = [
  { title: 'TIME', value: (event) => shortTime(text(event, 'time')) },
  { title: 'EVENT', value: (event) => text(event, 'kind') },
  { title: 'WHO', value: (event) => text(event, 'who') || text(event, 'user') || text(event, 'by') },
  { title: 'TARGET', value: (event) => text(event, 'target') },
  { title: 'DECISION', value: (event) => decision(event) },
  { title: 'WHAT', value: (event) => what(event) },
]

/** Conditions as the API takes them. */
type Conditions = Readonly<Record<string, string | undefined>>

const conditionNames = ['who', 'target', 'action', 'object', 'decision', 'kind', 'session', 'since', 'until', 'statement', 'text'] as const

interface SearchOptions extends Partial<Record<(typeof conditionNames)[number], string>> {
  readonly saved?: string
  readonly limit: number
}

const savedColumns: readonly Column<Fields>[] = [
  { title: 'NAME', value: (item) => text(item, 'name') },
  { title: 'OWNER', value: (item) => text(item, 'owner') },
  { title: 'SHARED', value: (item) => text(item, 'shared') },
  { title: 'CONDITIONS', value: (item) => Object.entries(asFields(item['query'])).map(([name, value]) => `${name}=${asText(value)}`).join(' ') },
]

/** `audit search`, `audit export` and `audit saved`: one set of conditions. */
export function registerSearch(audit: Command): void {
  withConditions(audit.command('search').description('events, newest first'))
    .option('--saved <name>', 'with the conditions of this saved search; those given here come first')
    .option('--limit <count>', 'at most so many', whole, 50)
    .action(async (options: SearchOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const conditions = await conditionsOf(api, options)
      const events = await listed(options.limit, (page) => ok(api.rest.GET('/v1/events', { params: { query: { ...conditions, ...given(page) } } })))
      printer.list(events, columns, 'No events.', events.map(flat))
    })

  withConditions(audit.command('export').description('everything that a search finds, as a file'))
    .option('--saved <name>', 'with the conditions of this saved search')
    .addOption(new Option('--format <format>').choices(['jsonl', 'csv']).default('jsonl'))
    .requiredOption('--output <file>', 'write to this file, readable by you alone; it appears when it is whole')
    .action(async (options: SearchOptions & { readonly format: 'jsonl' | 'csv'; readonly output: string }, command: Command) => {
      const { api } = contextOf(command)
      const lines = await download(
        api.slow.GET('/v1/events/export', {
          params: { query: { ...(await conditionsOf(api, options)), format: options.format } },
          ...asDownload(options.format === 'csv' ? 'text/csv' : 'application/jsonl'),
        }),
      )
      const part = `${options.output}.part`
      try {
        await pipeline(lines, createWriteStream(part, { mode: 0o600 }))
        await rename(part, options.output)
      } catch (error) {
        await rm(part, { force: true })
        throw error
      }
      say(visible(`Wrote ${options.output}.`))
    })

  const saved = audit.command('saved').description('searches with a name')

  saved.command('list')
    .description('yours, and those that others share')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const items = (await searches(api))
      printer.list(items, savedColumns, 'No saved searches. Make one: sallyport audit saved save denied --decision deny --shared')
    })

  withConditions(saved.command('save').description('save conditions under a name').argument('<name>'))
    .option('--shared', 'others may use it, too')
    .action(async (name: string, options: SearchOptions & { readonly shared?: true }, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.PUT('/v1/audit/searches/{name}', { params: { path: { name } }, body: { shared: options.shared ?? false, query: conditionsIn(options) } }))
      printer.result({ name, saved: true }, () => visible(`Saved. Use it: sallyport audit search --saved ${name}`))
    })

  saved.command('delete')
    .description('delete one of yours')
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      await ok(api.rest.DELETE('/v1/audit/searches/{name}', { params: { path: { name } } }))
      printer.result({ name, deleted: true }, () => 'Deleted.')
    })
}

function withConditions(command: Command): Command {
  return command
    .option('--who <name>', 'identity')
    .option('--target <name>')
    .option('--action <action>', 'effect action, like sql.delete')
    .option('--object <name>', 'effect object, like public.orders')
    .option('--decision <verdict>', 'allow, deny or hold')
    .option('--kind <kind>', 'event kind, like command or session.start')
    .option('--session <id>')
    .option('--since <time>', 'RFC 3339, or a duration back from now like 2h', instant)
    .option('--until <time>', 'RFC 3339, or a duration back from now', instant)
    .option('--statement <words>', `words of the command's text: drop table, '"drop table"', cust*, -orders, delete OR truncate`)
    .option('--text <characters>', 'anywhere in the record; slow without other conditions')
}

function conditionsIn(options: SearchOptions): Conditions {
  return Object.fromEntries(conditionNames.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])))
}

const searches = (api: ControlPlane) => listed(everything, (page) => ok(api.rest.GET('/v1/audit/searches', { params: { query: given(page) } })))

async function conditionsOf(api: ControlPlane, options: SearchOptions): Promise<Conditions> {
  if (options.saved === undefined) return conditionsIn(options)
  const items = (await searches(api)).filter((item) => text(item, 'name') === options.saved)
  const found = items.find((item) => item['mine'] === true) ?? items[0]
  if (found === undefined) throw usageError(`there is no saved search ${options.saved}: see sallyport audit saved list`)
  const conditions = Object.entries(asFields(found['query'])).map(([name, value]): [string, string] => [name, asText(value)])
  return { ...Object.fromEntries(conditions), ...conditionsIn(options) }
}

/** One level: what the API knows of the event (who, target, position), and over it the event as its source wrote it. */
export function flat(item: Fields): Fields {
  return { ...item, ...asFields(item['event']) }
}

function decision(event: Fields): string {
  const verdict = text(event, 'decision.verdict')
  return verdict === '' ? text(event, 'decision') : `${verdict} ${text(event, 'decision.rule')}`.trimEnd()
}

function what(event: Fields): string {
  if (text(event, 'kind') === 'gap') return gapText(event)
  const shown = text(event, 'text') || text(event, 'tag') || text(event, 'reason') || text(event, 'summary')
  if (shown !== '') return shown
  return asList(event['effects']).map((effect) => `${text(effect, 'action')} ${text(effect, 'resource')}`).join(', ')
}
