import { given, ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, say, whole } from '../context.js'
import { usageError } from '../errors.js'
import { everything, listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { play } from '../output/player.js'
import { flat } from './audit-search.js'
import type { Recorded } from './recorded.js'
import { replay, replayParts } from './replay.js'
import { sessionHead } from './session-head.js'

const idleMilliseconds = 2000
/** Of a command that a signal ended: 128 + SIGINT. */
const interrupted = 130

interface ReplayOptions {
  readonly speed: number
  readonly instant?: true
  readonly command?: number
}

export function replayCommand(sessions: Command): void {
  sessions.command('replay')
    .description('statements, decisions and (masked, size-capped) results in order; terminals are played in real time')
    .argument('<id>')
    .option('--speed <factor>', 'play terminals so many times as fast', factor, 1)
    .option('--instant', 'show at once what terminals showed at the end')
    .option('--command <number>', 'this command only', whole)
    .action(async (id: string, options: ReplayOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const path = { id }
      const [session, stored] = await Promise.all([
        ok(api.rest.GET('/v1/sessions/{id}', { params: { path } })),
        listed(everything, (page) => ok(api.rest.GET('/v1/sessions/{id}/events', { params: { path, query: given({ recordings: 'true' as const, ...page }) } }))),
      ])
      const events = stored.map(flat).filter((event) => options.command === undefined || text(event, 'command') === String(options.command))
      // A terminal is played to a terminal alone; into a file or a pipe everything is written out.
      if (printer.format !== 'table' || !process.stdout.isTTY) printer.result({ session, events }, () => `${sessionHead(session)}\n\n${replay(events)}`)
      else await show(session, events, options)
    })
}

async function show(session: Fields, events: readonly Fields[], options: ReplayOptions): Promise<void> {
  const enough = new AbortController()
  const onSignal = (): void => enough.abort()
  process.once('SIGINT', onSignal)
  try {
    process.stdout.write(sessionHead(session) + '\n\n')
    for (const part of replayParts(events)) {
      if (typeof part === 'string') process.stdout.write(part + '\n')
      else await playTerminal(part, options, enough.signal)
      if (enough.signal.aborted) {
        process.exitCode = interrupted
        return
      }
    }
  } finally {
    process.off('SIGINT', onSignal)
  }
}

async function playTerminal(recorded: Recorded, options: ReplayOptions, signal: AbortSignal): Promise<void> {
  const [columns = 0, rows = 0] = widest(recorded)
  const { stdout } = process
  if (columns > stdout.columns || rows > stdout.rows) say(`(recorded at ${columns}x${rows}; this terminal has ${stdout.columns}x${stdout.rows})`)
  const chunks = recorded.chunks.filter(({ stream }) => stream === 'o' || stream === 'e')
  await play(chunks, { speed: options.instant ? Number.POSITIVE_INFINITY : options.speed, idleMilliseconds, out: stdout, signal })
  if (recorded.truncated) say('(the recording reached its limit here)')
}

function widest({ chunks }: Recorded): number[] {
  const sizes = chunks.filter(({ stream }) => stream === 'r').map(({ bytes }) => /^(\d{1,4})x(\d{1,4})$/.exec(bytes.toString('latin1')))
  return [1, 2].map((group) => Math.max(0, ...sizes.map((size) => Number(size?.[group] ?? 0))))
}

function factor(value: string): number {
  const number = Number(value)
  if (!(number >= 0.01 && number <= 1000)) throw usageError(`'${value}' is no speed`, 'write a number from 0.01 to 1000, such as 2 for twice as fast')
  return number
}
