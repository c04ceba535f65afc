import type { JsonWebKey } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { verifyBundle } from '@sallyport/audit-log'
import type { Command } from 'commander'
import { contextOf, instant, printerOf, say, whole } from '../context.js'
import { exitCode, usageError } from '../errors.js'
import { asFields, asList, text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { visible, visibleJson } from '../output/visible.js'
import { gapText } from './gap.js'

const columns: readonly Column<Fields>[] = [
  { title: 'TIME', value: (event) => shortTime(text(event, 'time')) },
  { title: 'EVENT', value: (event) => text(event, 'kind') },
  { title: 'WHO', value: (event) => text(event, 'who') || text(event, 'user') || text(event, 'by') },
  { title: 'TARGET', value: (event) => text(event, 'target') },
  { title: 'DECISION', value: (event) => decision(event) },
  { title: 'WHAT', value: (event) => what(event) },
]

interface SearchOptions {
  readonly who?: string
  readonly target?: string
  readonly action?: string
  readonly object?: string
  readonly decision?: string
  readonly kind?: string
  readonly session?: string
  readonly since?: string
  readonly until?: string
  readonly text?: string
  readonly limit: number
}

export function registerAudit(program: Command): void {
  const audit = program.command('audit').description('search and verify the audit chain')

  audit.command('search')
    .description('events, newest first')
    .option('--who <name>', 'identity')
    .option('--target <name>')
    .option('--action <action>', 'effect action, like sql.delete')
    .option('--object <name>', 'effect object, like public.orders')
    .option('--decision <verdict>', 'allow, deny or hold')
    .option('--kind <kind>', 'event kind, like command or session.start')
    .option('--session <id>')
    .option('--since <time>', 'RFC 3339, or a duration back from now like 2h', instant)
    .option('--until <time>', 'RFC 3339, or a duration back from now', instant)
    .option('--text <words>', "in the command's text")
    .option('--limit <count>', 'at most so many', whole, 50)
    .action(async ({ limit, who, target, action, object, decision: verdict, kind, session, since, until, text: words }: SearchOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const events = await api.list('/v1/events', { who, target, action, object, decision: verdict, kind, session, since, until, text: words }, limit)
      printer.list(events, columns, 'No events.', events.map(flat))
    })

  audit.command('bundle')
    .description("a session's records as a file that a third party can verify")
    .argument('<session>')
    .requiredOption('--output <file>', 'write to this file, readable by you alone')
    .action(async (session: string, options: { readonly output: string }, command: Command) => {
      const { api } = contextOf(command)
      const lines = await api.download(`/v1/sessions/${encodeURIComponent(session)}/bundle`, {}, 'application/jsonl')
      await pipeline(lines, createWriteStream(options.output, { mode: 0o600 }))
      say(visible(`Wrote ${options.output}. Whoever verifies it needs the keys of \`sallyport audit keys\`, by another way than the file.`))
    })

  audit.command('keys')
    .description('the public keys with which bundles are verified (JSON)')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await api.call('GET', '/v1/audit/keys')
      printer.result(answer, () => visibleJson(JSON.stringify(answer, undefined, 2)))
    })

  audit.command('verify')
    .description('check the chains from their beginning; exit code 1 when one is broken')
    .option('--offline <bundle>', 'check this file of `sallyport audit bundle`, without the control plane')
    .option('--keys <file>', 'with --offline: the public keys, as `sallyport audit keys` prints them')
    .action(async (options: { readonly offline?: string; readonly keys?: string }, command: Command) => {
      if (options.offline !== undefined || options.keys !== undefined) return verifyOffline(options, command)
      const { api, printer } = contextOf(command)
      const answer = await api.call('GET', '/v1/audit/verify', { timeoutMilliseconds: 30 * 60_000 })
      const ok = answer['ok'] === true
      if (!ok) process.exitCode = exitCode.error
      const said = ok
        ? [`The chain is whole: ${text(answer, 'checked')} events, head ${text(answer, 'head.position')} ${text(answer, 'head.hash')}`, sessionsLine(answer)]
        : [`The chain is BROKEN at position ${text(answer, 'first_bad.position')}: ${text(answer, 'first_bad.problem')}`]
      printer.result(answer, () => said.map(visible).join('\n'))
    })
}

async function verifyOffline({ offline, keys }: { readonly offline?: string; readonly keys?: string }, command: Command): Promise<void> {
  if (offline === undefined || keys === undefined) throw usageError('--offline and --keys belong together: the file, and the public keys to check it with')
  const printer = printerOf(command)
  const answer = await verifyBundle(createInterface({ input: createReadStream(offline, 'utf8'), crlfDelay: Infinity }), readKeys(keys))
  if (!answer.ok) process.exitCode = exitCode.error
  printer.result({ ...answer }, () =>
    visible(
      answer.first_bad === undefined
        ? `The session is whole: ${answer.session}, ${answer.records} records by ${answer.agent}, which signed their end; ${answer.control} events of the control plane, which signed them`
        : `The bundle is BROKEN at line ${answer.first_bad.position}: ${answer.first_bad.problem}`,
    ),
  )
}

function readKeys(file: string): JsonWebKey[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    throw usageError(`${file} is not a file of keys: write it with \`sallyport audit keys\``)
  }
  return asList(asFields(value)['keys']).map((key) => ({ ...key }))
}

/** How the agents vouch for the sessions in it. */
function sessionsLine(answer: Fields): string {
  const count = (name: string): string => text(answer, `sessions.${name}`)
  const rest = [
    ['lost', 'closed by the control plane because their agent was lost'],
    ['open', 'open'],
    ['unchained', 'recorded by agents that did not chain yet'],
  ].flatMap(([name = '', words = '']) => (count(name) === '0' ? [] : [`${count(name)} ${words}`]))
  const gaps = count('gaps')
  const told = gaps === '0' || gaps === '' ? '' : `\nGaps: ${gaps}, where commands of best_effort sessions went on without a record; see \`sallyport audit search --kind gap\``
  return [`Sessions: ${count('signed')} whole and signed by their agents`, ...rest].join(', ') + told
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
