import type { JsonWebKey } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { verifyBundle, type BundleVerification } from '@sallyport/audit-log'
import { ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, instant, printerOf, say } from '../context.js'
import { exitCode, usageError } from '../errors.js'
import { asDownload, download } from '../http/control-plane.js'
import { asFields, asList, text, type Fields } from '../http/record.js'
import { visible, visibleJson } from '../output/visible.js'
import { registerSearch } from './audit-search.js'
import { comparePublished, notesIn } from './published.js'
import { registerRetention } from './retention.js'

export function registerAudit(program: Command): void {
  const audit = program.command('audit').description('search and verify the audit chain')

  registerSearch(audit)
  registerRetention(audit)

  audit.command('bundle')
    .description('records as a file that a third party can verify: one session, or a range of time')
    .argument('[session]', 'or --since and --until')
    .option('--since <time>', 'RFC 3339, or a duration back from now like 2h', instant)
    .option('--until <time>', 'RFC 3339, or a duration back from now; default: now', instant)
    .requiredOption('--output <file>', 'write to this file, readable by you alone')
    .action(async (session: string | undefined, options: { readonly output: string; readonly since?: string; readonly until?: string }, command: Command) => {
      const { api } = contextOf(command)
      const { since: from, until: to = new Date().toISOString() } = options
      if ((session === undefined) === (from === undefined)) throw usageError('name a session, or give --since (and --until)')
      const lines = session === undefined
        ? await download(api.slow.GET('/v1/audit/bundle', { params: { query: { from: from ?? '', to } }, ...asDownload('application/jsonl') }))
        : await download(api.slow.GET('/v1/sessions/{id}/bundle', { params: { path: { id: session } }, ...asDownload('application/jsonl') }))
      await pipeline(lines, createWriteStream(options.output, { mode: 0o600 }))
      say(visible(`Wrote ${options.output}. Whoever verifies it needs the keys of \`sallyport audit keys\`, by another way than the file.`))
    })

  audit.command('checkpoint')
    .description('the newest signed state of the log: keep it elsewhere, and give it to `audit verify --published`')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.GET('/v1/audit/checkpoint'))
      printer.result(answer, () => text(answer, 'note').trimEnd().split('\n').map(visible).join('\n'))
    })

  audit.command('keys')
    .description('the public keys with which bundles are verified (JSON)')
    .action(async (_options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.GET('/v1/audit/keys'))
      printer.result(answer, () => visibleJson(JSON.stringify(answer, undefined, 2)))
    })

  audit.command('verify')
    .description('check the chains from their beginning; exit code 1 when one is broken')
    .option('--offline <bundle>', 'check this file of `sallyport audit bundle`, without the control plane')
    .option('--published <file>', 'check that the log still contains the checkpoints in this file (`audit checkpoint`, or what a sink got)')
    .option('--keys <file>', 'with --offline or --published: the public keys, as `sallyport audit keys` prints them')
    .action(async (options: VerifyOptions, command: Command) => {
      if (options.published !== undefined) return verifyPublished(options, command)
      if (options.offline !== undefined || options.keys !== undefined) return verifyOffline(options, command)
      const { api, printer } = contextOf(command)
      const answer = await ok(api.slow.GET('/v1/audit/verify'))
      if (!answer.ok) process.exitCode = exitCode.error
      const said = answer.ok
        ? [`The chain is whole: ${text(answer, 'checked')} events${deletedPart(answer)}, head ${text(answer, 'head.position')} ${text(answer, 'head.hash')}`, sessionsLine(answer), `Checkpoints: ${text(answer, 'checkpoints')} signed, all fit`]
        : [`The chain is BROKEN at position ${text(answer, 'first_bad.position')}: ${text(answer, 'first_bad.problem')}`, ...furtherProblems(answer), ...(answer['sessions'] === undefined ? [] : [sessionsLine(answer)])]
      printer.result(answer, () => said.map(visible).join('\n'))
    })
}

interface VerifyOptions {
  readonly offline?: string
  readonly published?: string
  readonly keys?: string
}

function deletedPart(answer: Fields): string {
  const deleted = text(answer, 'deleted')
  return deleted === '' || deleted === '0' ? '' : ` and ${deleted} deleted by retention`
}

const shownProblems = 20

function furtherProblems(answer: Fields): string[] {
  const [, ...more] = asList(answer['problems'])
  const lines = more.slice(0, shownProblems).map((problem) => `  and at position ${text(problem, 'position')}: ${text(problem, 'problem')}`)
  return more.length > shownProblems ? [...lines, `  and ${more.length - shownProblems} more (--output json)`] : lines
}

async function verifyOffline({ offline, keys }: VerifyOptions, command: Command): Promise<void> {
  if (offline === undefined || keys === undefined) throw usageError('--offline and --keys belong together: the file, and the public keys to check it with')
  const printer = printerOf(command)
  const answer = await verifyBundle(createInterface({ input: createReadStream(offline, 'utf8'), crlfDelay: Infinity }), readKeys(keys))
  if (!answer.ok) process.exitCode = exitCode.error
  printer.result({ ...answer }, () => visible(describeBundle(answer)))
}

function describeBundle({ first_bad: bad, subject, records, agents, checkpoint }: BundleVerification): string {
  if (bad !== undefined) return `The bundle is BROKEN${bad.position === '' ? '' : ` at position ${bad.position}`}: ${bad.problem}`
  const place = `in the log of ${checkpoint?.size} records that the control plane signed at ${checkpoint?.time}`
  return subject?.of === 'session'
    ? `The session is whole: ${subject.session}, ${records} records ${place}; ${agents.join(', ')} signed its end`
    : `The range is whole: ${records} records from ${subject?.from} to ${subject?.to} and beside them, ${place}`
}

async function verifyPublished({ published, keys, offline }: VerifyOptions, command: Command): Promise<void> {
  if (published === undefined || keys === undefined || offline !== undefined) throw usageError('--published and --keys belong together: the checkpoints, and the public keys to check them with')
  const { api, printer } = contextOf(command)
  const answer = await comparePublished(api, notesIn(published), readKeys(keys))
  if (!answer.ok) process.exitCode = exitCode.error
  printer.result({ ...answer }, () => visible(answer.ok ? `The log contains all ${answer.checked} published checkpoints, up to ${answer.size} records` : `The log is NOT the one that was published: ${answer.problem}`))
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
    ['broken', 'BROKEN'],
  ].flatMap(([name = '', words = '']) => (count(name) === '0' ? [] : [`${count(name)} ${words}`]))
  const gaps = count('gaps')
  const told = gaps === '0' || gaps === '' ? '' : `\nGaps: ${gaps}, where commands of best_effort sessions went on without a record; see \`sallyport audit search --kind gap\``
  return [`Sessions: ${count('signed')} whole and signed by their agents`, ...rest].join(', ') + told
}
